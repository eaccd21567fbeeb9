import { describe, expect, it } from 'vitest'
import { kernelCommandLine } from './kernel-command-line.ts'
import { renderArgument, renderQemuArguments, templateArguments } from './qemu-arguments.ts'
import { renderQemuCommand } from './qemu-command.ts'
import { vmFiles, type VmPlan, withMemory } from './vm-plan.ts'

const image = {
  kernel: '/cache/vmlinux',
  initramfs: '/cache/initramfs.cpio',
  root: '/cache/a,b/root.erofs',
  layer: undefined,
}

const tcg: VmPlan = {
  accelerator: 'tcg',
  program: { kind: 'tree', named: false, root: '/cache/runtime', binary: '/usr/bin/qemu-system-x86_64' },
  jail: { kind: 'bubblewrap', path: '/usr/bin/bwrap', maker: { kind: 'root', uids: { first: 100_000, count: 10 } } },
  runtimeDir: '/run/exec-sandbox',
  files: vmFiles({ ...image, memory: { kind: 'anonymous' } }),
  cpu: { model: 'SapphireRapids-v2', vendor: 'AuthenticAMD', off: ['svm', 'vmx', 'pcid'] },
  memoryMb: 256,
  memory: { kind: 'anonymous' },
  cpus: 1,
  ...image,
  kernelCommandLine: kernelCommandLine({ accelerator: 'tcg', verbose: false, rootSerial: 'root' }),
}

const kvm: VmPlan = {
  ...tcg,
  accelerator: 'kvm',
  program: { kind: 'tree', named: false, root: '/cache/runtime', binary: '/usr/bin/qemu-system-x86_64' },
  jail: { kind: 'bubblewrap', path: '/usr/bin/bwrap', maker: { kind: 'user' } },
  cpu: { model: 'host', off: ['svm', 'vmx'] },
  cpus: 2,
  kernelCommandLine: kernelCommandLine({ accelerator: 'kvm', verbose: true, rootSerial: 'root' }),
}

describe('renderQemuArguments', () => {
  it('is this under TCG', () => {
    expect(lines(renderQemuArguments(tcg))).toMatchSnapshot()
  })

  it('maps the RAM of a VM that is saved shared, and lets QEMU write it', () => {
    const saved = withMemory(tcg, { kind: 'shared', ram: '/cache/t/ram', state: '/cache/t/state' })
    expect(renderQemuArguments(saved)).toContain('memory-backend-file,id=ram,size=256M,mem-path=/run/vm/ram,share=on')
    const command = renderQemuCommand(saved, 100_000)
    expect(command.argv.join(' ')).toContain('--bind /cache/t/ram /run/vm/ram --bind /cache/t/state /run/vm/state')
    expect(command.argv).not.toContain('--fsize=0')
  })

  it('maps the RAM of a template privately and read-only, and waits for its state', () => {
    const restored = withMemory(tcg, { kind: 'template', ram: '/cache/t/ram', state: '/cache/t/state' })
    const argv = renderQemuArguments(restored)
    expect(argv).toContain('memory-backend-file,id=ram,size=256M,mem-path=/run/vm/ram,share=off,readonly=on,rom=off')
    expect(argv.slice(-3)).toEqual(['-S', '-incoming', 'defer'])
    const command = renderQemuCommand(restored, 100_000)
    expect(command.argv.join(' ')).toContain(
      '--ro-bind /cache/t/ram /run/vm/ram --ro-bind /cache/t/state /run/vm/state',
    )
    expect(command.argv).toContain('--fsize=0')
  })

  it('gives a layer as one more read-only disk, known by its serial number', () => {
    const layer = { file: '/cache/layers/ab/layer.erofs', digest: 'ab' }
    const plan: VmPlan = { ...tcg, layer, files: vmFiles({ ...image, layer, memory: tcg.memory }) }
    const argv = renderQemuArguments(plan)
    const rest = argv.filter((argument) => !renderQemuArguments(tcg).includes(argument))
    expect(rest).toEqual([
      'driver=raw,node-name=layer,read-only=on,file.driver=file,file.filename=/run/vm/layer,file.read-only=on,file.locking=off,file.aio=threads',
      'virtio-blk-device,drive=layer,serial=layer,num-queues=1',
    ])
    const command = renderQemuCommand(plan, 100_000).argv.join(' ')
    expect(command).toContain('--ro-bind /cache/layers/ab/layer.erofs /run/vm/layer')
    expect(templateArguments(plan).join(' ')).not.toContain('/cache/layers')
  })

  it('is this under KVM', () => {
    expect(lines(renderQemuArguments(kvm))).toMatchSnapshot()
  })

  it('names host paths, commas doubled, when there is no jail', () => {
    const words = renderQemuArguments({ ...tcg, jail: { kind: 'off', user: { kind: 'user' } } })
    expect(words).toContain('/cache/vmlinux')
    expect(words.join(' ')).toContain('file.filename=/cache/a,,b/root.erofs')
    expect(words.join(' ')).not.toContain('/run/vm')
  })

  it('translates with one thread for one processor and with one each for more', () => {
    expect(renderQemuArguments(tcg).join(' ')).toContain('thread=single')
    expect(renderQemuArguments({ ...tcg, cpus: 2 }).join(' ')).toContain('thread=multi')
  })

  it.each([tcg, kvm])('offers no network, no nested virtualization, and no weaker kernel ($accelerator)', (plan) => {
    const words = renderQemuArguments(plan).join(' ')
    expect(words).toContain('-nic none')
    expect(words).toMatch(/svm=off,vmx=off/)
    expect(words).toContain('-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny')
    expect(words).not.toMatch(/nokaslr|mitigations=|pti=|nopti|spectre/)
  })
})

describe('renderArgument', () => {
  it('writes QEMU’s own notation', () => {
    expect(renderArgument({ option: 'nodefaults' })).toEqual(['-nodefaults'])
    expect(renderArgument({ option: 'm', value: '256M' })).toEqual(['-m', '256M'])
    expect(renderArgument({ option: 'x', value: 'v', properties: { a: true, b: 2, c: 'p,q', d: undefined } })).toEqual([
      '-x',
      'v,a=on,b=2,c=p,,q',
    ])
  })
})

describe('kernelCommandLine', () => {
  it('asks for the probe instead of a root', () => {
    const words = kernelCommandLine({ accelerator: 'kvm', verbose: false, rootSerial: undefined })
    expect(words).toContain('exec_sandbox.probe')
    expect(words.some((word) => word.startsWith('exec_sandbox.root'))).toBe(false)
  })

  it('is quiet unless asked to speak', () => {
    const quiet = kernelCommandLine({ accelerator: 'tcg', verbose: false, rootSerial: 'root' })
    const loud = kernelCommandLine({ accelerator: 'tcg', verbose: true, rootSerial: 'root' })
    expect(quiet).toContain('quiet')
    expect(loud).not.toContain('quiet')
    expect(loud).toContain('exec_sandbox.log=debug')
  })
})

describe('renderQemuCommand', () => {
  it('runs jail, limits and QEMU in this order for root', () => {
    const { file, argv } = renderQemuCommand(tcg, 100_003)
    expect(file).toBe('/usr/bin/bwrap')
    const order = ['--', '/usr/bin/prlimit', '/usr/bin/setpriv', '/usr/bin/qemu-system-x86_64', '-machine']
    const places = order.map((word) => argv.indexOf(word))
    expect(places).toEqual(places.toSorted((a, b) => a - b))
    expect(places).not.toContain(-1)
  })

  it('without a jail starts QEMU by the tree’s own loader, without new privileges and bound to our life', () => {
    const { file, argv } = renderQemuCommand({ ...tcg, jail: { kind: 'off', user: { kind: 'user' } } }, undefined)
    expect(file).toBe('/cache/runtime/lib64/ld-linux-x86-64.so.2')
    expect(lines(argv.slice(0, argv.indexOf('-machine')))).toMatchSnapshot()
  })
})

/** One option and its value per line: a snapshot that reads as a diff. */
function lines(words: readonly string[]): string {
  return words.join(' ').replaceAll(/ (?=-{1,2}[a-zA-Z])/g, '\n')
}
