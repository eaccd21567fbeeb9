import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type RunOptions, Scheduler } from './scheduler.ts'

// A cache without an image: whatever gets past the checks ends with DependencyError, before any VM.
let cacheDir: string
beforeAll(async () => {
  vi.stubEnv('EXEC_SANDBOX_IMAGE_DIR', '')
  cacheDir = await mkdtemp(join(tmpdir(), 'exec-sandbox-scheduler-'))
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await rm(cacheDir, { recursive: true })
})

describe('Scheduler', () => {
  it('checks the callbacks of a run before it looks for an image', async () => {
    await using scheduler = new Scheduler({ cacheDir })
    await expect(scheduler.run('1', { onStdout: 5 as never })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      details: { field: 'onStdout' },
    })
    await expect(scheduler.run('1')).rejects.toMatchObject({ code: 'DEPENDENCY' })
  })

  // semantics: code, environment, packages, ports, files.
  const many = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index + 1)
  it.each<[what: string, code: string, options: RunOptions]>([
    ['code that is empty', '', {}],
    ['code that is white space', ' \n\t', {}],
    ['code with NUL', 'a\0b', {}],
    ['code beyond 1 MiB', 'x'.repeat(2 ** 20 + 1), {}],
    ['a language that is none', '1', { language: 'cobol' }],
    ['101 variables', '1', { env: Object.fromEntries(many(101).map((index) => [`A${index}`, ''])) }],
    ['a name of a variable that is none', '1', { env: { 'A-B': '' } }],
    ['a value beyond 32 KiB', '1', { env: { A: 'x'.repeat(32_769) } }],
    ['a value with a control character', '1', { env: { A: '\u0007' } }],
    ['a value with NUL', '1', { env: { A: '\0' } }],
    ...[
      'LD_PRELOAD',
      'GLIBC_TUNABLES',
      'PYTHONSTARTUP',
      'PYTHONHOME',
      'BASH_ENV',
      'ENV',
      'PROMPT_COMMAND',
      'NODE_OPTIONS',
      'BUN_INSTALL',
    ].map((name): [string, string, RunOptions] => [`the variable ${name}`, '1', { env: { [name]: 'x' } }]),
    ['51 packages', '1', { packages: many(51).map((index) => `package${index}`) }],
    ['a package that is an option', '1', { packages: ['--index-url=x'] }],
    ['51 ports', '1', { ports: many(51) }],
    ['the port 0', '1', { ports: [0] }],
    ['the port 65536', '1', { ports: [65_536] }],
    ['a rule of the network that is none', '1', { network: { allow: ['no rule'] } }],
    ['a path with NUL', '1', { files: { 'a\0b': '' } }],
    ['a path beyond 4096 bytes', '1', { files: { [`${'a/'.repeat(2_048)}b`]: '' } }],
    ['a component beyond 255 bytes', '1', { files: { ['ä'.repeat(128)]: '' } }],
    ['a time limit below a second', '1', { timeoutMs: 999 }],
    ['memory below 128 MiB', '1', { memoryMb: 127 }],
  ])('F03: refuses %s before any work on a VM', async (_, code, options) => {
    await using scheduler = new Scheduler({ cacheDir })
    const error: unknown = await scheduler.run(code, options).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: expect.stringMatching(/^(?:INVALID_INPUT|FILE|PACKAGE)$/), retryable: false })
    expect(await readdir(cacheDir)).toEqual([])
  })

  it('F03: drops a byte order mark, which is no error', async () => {
    await using scheduler = new Scheduler({ cacheDir })
    await expect(scheduler.run('\u{feff}1')).rejects.toMatchObject({ code: 'DEPENDENCY' })
  })

  it('many launches at once raise no warning about listeners', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error): void => void warnings.push(warning)
    process.on('warning', onWarning)
    await using scheduler = new Scheduler({ cacheDir })
    await Promise.allSettled(Array.from({ length: 20 }, async () => await scheduler.create()))
    // Warnings come on the next tick.
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', onWarning)
    expect(warnings).toEqual([])
  })

  it('remembers nothing of a launch that has ended', async () => {
    const any = vi.spyOn(AbortSignal, 'any')
    await using scheduler = new Scheduler({ cacheDir })
    const { signal } = new AbortController()
    const add = vi.spyOn(signal, 'addEventListener')
    const remove = vi.spyOn(signal, 'removeEventListener')
    await expect(scheduler.create({ signal })).rejects.toMatchObject({ code: 'DEPENDENCY' })
    expect(any).not.toHaveBeenCalled()
    expect(add).toHaveBeenCalled()
    for (const [, listener] of add.mock.calls) expect(remove.mock.calls.map((call) => call[1])).toContain(listener)
  })

  it('tells what was under way when it was closed that it was closed', async () => {
    const scheduler = new Scheduler({ cacheDir })
    const underWay = [scheduler.ready(), scheduler.create(), scheduler.run('1')]
    const outcomes = Promise.allSettled(underWay)
    await Promise.all([scheduler.close(), scheduler.close()])
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'SANDBOX_CLOSED' } })
    }
    await expect(scheduler.ready()).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
  })

  it("keeps the caller's reason when its signal ends a launch", async () => {
    await using scheduler = new Scheduler({ cacheDir })
    const controller = new AbortController()
    const launch = scheduler.create({ signal: controller.signal })
    controller.abort(new Error('mine'))
    await expect(launch).rejects.toMatchObject({ code: 'ABORTED', cause: new Error('mine') })
  })
})
