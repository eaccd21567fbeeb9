import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BootError, DependencyError } from '../../src/base/index.ts'
import { resolvePaths } from '../../src/host/index.ts'
import { decideAccelerator, QemuProcess } from '../../src/qemu/index.ts'
import { descendants } from './processes.ts'
import { agentSpeaks, silent, type TestHost, testHost } from './qemu-plan.ts'

let host: TestHost
let directory: string
beforeAll(async () => {
  host = await testHost()
  directory = await mkdtemp(join(tmpdir(), 'qemu-faults-'))
})
afterAll(async () => {
  await rm(directory, { recursive: true })
})

/** The verdict of a fresh cache, with another environment than this process has. */
async function decide(env: NodeJS.ProcessEnv): Promise<unknown> {
  const cacheDir = await mkdtemp(join(directory, 'cache-'))
  return await decideAccelerator({
    requested: 'tcg',
    image: host.image,
    paths: resolvePaths(process.env, { cacheDir }),
    env: { ...process.env, ...env },
    jail: 'required',
    logger: silent,
  })
}

async function program(name: string, text: string): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, text)
  await chmod(path, 0o755)
  return path
}

describe('a QEMU that ends before its time', () => {
  it('is told at once and as what it was when something kills it during boot', async () => {
    const qemu = await QemuProcess.start(host.plan(), { logger: silent })
    const inner = descendants(qemu.pid ?? 0).at(-1) ?? 0
    process.kill(inner, 'SIGKILL')
    expect(await qemu.exited).toMatchObject({ kind: 'signal', signal: 'SIGKILL' })
  })

  it('is told with its own words when it refuses its arguments', async () => {
    const plan = host.plan({ cpu: { model: 'NoSuchProcessor', off: [] } })
    const error: unknown = await QemuProcess.start(plan, { logger: silent }).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(BootError)
    expect(error).toMatchObject({ retryable: false, details: { phase: 'qemu', stderr: /NoSuchProcessor/ } })
  })

  it('is told with its own words when the kernel is no kernel', async () => {
    const kernel = await program('no-kernel', 'not a kernel\n')
    const plan = host.plan({ kernel, files: [...host.plan().files, { host: kernel, jailed: '/run/vm/other' }] })
    const error: unknown = await QemuProcess.start(plan, { logger: silent })
      .then(async (qemu) => await qemu.exited)
      .catch((thrown: unknown) => thrown)
    expect(JSON.stringify(error)).toMatch(/kernel/i)
  })

  it('is told as a panic, with the kernel’s line, when the guest has no init', async () => {
    const empty = await program('empty.cpio', '')
    const plan = host.plan()
    const files = plan.files.map((file) => (file.host === plan.initramfs ? { ...file, host: empty } : file))
    const qemu = await QemuProcess.start({ ...plan, initramfs: empty, files }, { logger: silent })
    const exit = await qemu.exited
    expect(exit).toMatchObject({ kind: 'guest-panic', message: expect.stringContaining('Kernel panic - not syncing') })
    expect(qemu.bootLog.text()).toContain('Kernel panic')
  })

  it('is told as a panic or a shutdown of the guest when its root does not exist', async () => {
    const words = host
      .plan()
      .kernelCommandLine.map((word) =>
        word.startsWith('exec_sandbox.root=') ? 'exec_sandbox.root=serial:nowhere' : word,
      )
    const qemu = await QemuProcess.start(host.plan({ kernelCommandLine: words }), { logger: silent })
    await using _owned = qemu
    expect((await qemu.exited).kind).toMatch(/^guest-(panic|shutdown)$/)
  })
})

describe('a host that lacks something', () => {
  it('names bubblewrap and its package when it is missing', async () => {
    await expect(decide({ PATH: directory })).rejects.toMatchObject({
      code: 'DEPENDENCY',
      details: { dependency: 'bubblewrap', fix: /install.*bubblewrap/ },
    })
  })

  it('tells what bubblewrap said when it is not permitted', async () => {
    // The real bubblewrap, started by somebody who may make no namespace of any kind: what a locked-down container does.
    const real = '/usr/bin/bwrap'
    const bin = await mkdtemp(join(directory, 'bin-'))
    const wrapper = join(bin, 'bwrap')
    await writeFile(
      wrapper,
      `#!/bin/sh\ncase "$1" in --version) exec ${real} "$@";; esac\nexec ${real} --ro-bind /nowhere /nowhere "$@"\n`,
    )
    await chmod(wrapper, 0o755)
    await expect(decide({ PATH: bin })).rejects.toMatchObject({
      code: 'DEPENDENCY',
      message: expect.stringContaining('/nowhere'),
      details: { dependency: 'bubblewrap' },
    })
  })

  it.each([
    ['is not there', '/nowhere/qemu-system-x86_64', /does not exist/],
    ['is named without its directory', 'qemu-system-x86_64', /not a full path/],
    ['is no QEMU', '/usr/bin/true', /does not answer as QEMU does/],
  ])('refuses a named QEMU that %s', async (_, named, message) => {
    const refusal = decide({ EXEC_SANDBOX_QEMU: named })
    await expect(refusal).rejects.toBeInstanceOf(DependencyError)
    await expect(refusal).rejects.toMatchObject({ message, details: { dependency: 'qemu', fix: /EXEC_SANDBOX_QEMU/ } })
  })

  it('refuses a named QEMU that is too old, with the version it has', async () => {
    const old = await program(
      'old-qemu',
      [
        '#!/bin/bash',
        // What QEMU 7.2 says first, and an answer to the one command that follows.
        `echo '{"QMP":{"version":{"qemu":{"micro":0,"minor":2,"major":7},"package":""},"capabilities":[]}}' >&3`,
        `read -r line <&3; id=\${line##*:}; echo "{\\"return\\":{},\\"id\\":\${id%\\}}}" >&3`,
        'read -r line <&3',
      ].join('\n'),
    )
    await expect(decide({ EXEC_SANDBOX_QEMU: old })).rejects.toMatchObject({
      code: 'DEPENDENCY',
      message: /is version 7\.2\.0; at least 8\.2\.0/,
    })
  })

  it('runs a named QEMU that is good enough', async () => {
    const tree = join(directory, 'tree')
    await symlink(host.image.runtime, tree)
    const verdict = await decide({ EXEC_SANDBOX_QEMU: join(tree, 'usr/bin/qemu-system-x86_64') })
    expect(verdict).toMatchObject({ accelerator: 'tcg', program: { named: true } })
    const { program: named } = verdict as TestHost['verdict']
    await using qemu = await QemuProcess.start(host.plan({ program: named }), { logger: silent })
    await agentSpeaks(qemu.channelSocket)
  })
})
