import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { resolvePaths } from '../../src/host/index.ts'
import { type AcceleratorVerdict, decideAccelerator } from '../../src/qemu/index.ts'
import { probeBoot } from '../../src/qemu/probe-boot.ts'
import { silent, type TestHost, testHost } from './qemu-plan.ts'

let host: TestHost
let directory: string
beforeAll(async () => {
  host = await testHost()
  directory = await mkdtemp(join(tmpdir(), 'probe-'))
})
afterAll(async () => {
  await rm(directory, { recursive: true })
})

async function decide(requested: 'auto' | 'kvm' | 'tcg', cacheDir: string): Promise<AcceleratorVerdict> {
  return await decideAccelerator({
    requested,
    image: host.image,
    paths: resolvePaths(process.env, { cacheDir }),
    env: process.env,
    jail: 'required',
    logger: silent,
  })
}

describe('the accelerator verdict', () => {
  it('is reached by one probe, however many ask at once, and is remembered', async () => {
    const cacheDir = await mkdtemp(join(directory, 'cache-'))
    const verdicts = await Promise.all([1, 2, 3].map(async () => await decide('auto', cacheDir)))
    const sources = verdicts.map(({ source }) => source)
    expect(new Set(verdicts.map(({ accelerator }) => accelerator)).size).toBe(1)
    // Without the device there is nothing to probe.
    if (sources[0] !== 'device') {
      expect(sources.filter((source) => source === 'probe')).toHaveLength(1)
      expect((await decide('auto', cacheDir)).source).toBe('remembered')
    }
    for (const { reason } of verdicts) expect(reason.length).toBeGreaterThan(10)
  })

  it('is probed again when what was remembered cannot be read', async () => {
    const cacheDir = await mkdtemp(join(directory, 'cache-'))
    const first = await decide('auto', cacheDir)
    const verdicts = join(cacheDir, 'verdicts')
    for (const name of await readdir(verdicts)) await writeFile(join(verdicts, name), '{"usable":')
    const second = await decide('auto', cacheDir)
    expect(second).toMatchObject({ accelerator: first.accelerator, source: first.source })
  })

  it('for KVM that was demanded is KVM, or an error with the reason that was seen', async () => {
    const cacheDir = await mkdtemp(join(directory, 'cache-'))
    const automatic = await decide('auto', cacheDir)
    const demanded = decide('kvm', cacheDir)
    if (automatic.accelerator === 'kvm') expect((await demanded).accelerator).toBe('kvm')
    else {
      await expect(demanded).rejects.toMatchObject({
        code: 'DEPENDENCY',
        message: expect.stringContaining(automatic.reason),
        details: { dependency: 'kvm' },
      })
    }
  })

  it('is TCG without any probe when TCG was asked for', async () => {
    const cacheDir = await mkdtemp(join(directory, 'cache-'))
    expect(await decide('tcg', cacheDir)).toMatchObject({ accelerator: 'tcg', source: 'requested' })
    expect((await readdir(join(cacheDir, 'verdicts'))).some((name) => name.startsWith('accelerator-'))).toBe(false)
  })
})

describe('the probe itself', () => {
  // Shown under TCG, which works everywhere: what is tested is whether the probe sees what happens.
  const probe = async (changes: { initramfs?: string; program?: AcceleratorVerdict['program'] } = {}) => {
    const { verdict, image, paths } = host
    const { jail, features } = verdict
    return await probeBoot({
      accelerator: 'tcg',
      program: changes.program ?? {
        kind: 'tree',
        named: false,
        root: image.runtime,
        binary: '/usr/bin/qemu-system-x86_64',
      },
      jail,
      features,
      image: { kernel: image.kernel, initramfs: changes.initramfs ?? image.initramfs },
      runtimeDir: paths.runtimeDir,
      logger: silent,
    })
  }

  it('believes an accelerator under which our agent spoke', async () => {
    expect(await probe()).toMatchObject({ usable: true, reason: expect.stringMatching(/booted under TCG in \d+ ms/) })
  })

  it('does not believe one under which the kernel panicked', async () => {
    const initramfs = join(directory, 'empty.cpio')
    await writeFile(initramfs, '', { mode: 0o644 })
    expect(await probe({ initramfs })).toMatchObject({ usable: false, reason: expect.stringContaining('panicked') })
  })

  it('does not believe a program that cannot do it, and tells what the program said', async () => {
    const binary = '/usr/bin/prlimit'
    const program = { kind: 'tree', named: false, root: host.image.runtime, binary } as const
    expect(await probe({ program })).toMatchObject({ usable: false, reason: expect.stringContaining('prlimit') })
  })
})
