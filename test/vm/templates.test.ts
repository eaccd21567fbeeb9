import { execFile } from 'node:child_process'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { Scheduler } from '../../src/index.ts'
import { qemuProcesses } from './processes.ts'
import { recordingLogger, templateCache } from './template-cache.ts'

const cache = await templateCache()
afterAll(async () => await cache.remove())

const PROGRAMS = {
  python: 'print(6 * 7)',
  javascript: 'console.log(6 * 7)',
  bash: 'echo $((6 * 7))',
} as const

/** From the disk, or loaded ahead because the template had been used before. */
const resumed = expect.stringMatching(/^(?:disk|memory)-snapshot$/)

describe('the first use of a configuration', () => {
  it('boots, gives its result, and saves a template that later uses and other schedulers are resumed from', async () => {
    const scheduler = new Scheduler({ cacheDir: cache.directory })
    const first = await scheduler.run(PROGRAMS.bash, { language: 'bash' })
    expect(first).toMatchObject({ stdout: '42\n', source: 'cold-boot' })
    expect(first.timing).toHaveProperty('bootMs')
    // It waits for the template.
    await scheduler.close()
    expect(scheduler.stats().templates).toMatchObject({ boots: 1, saved: 1, saving: 0, saveFailures: 0 })
    expect(qemuProcesses()).toEqual([])

    await using other = new Scheduler({ cacheDir: cache.directory })
    const second = await other.run(PROGRAMS.bash, { language: 'bash' })
    expect(second).toMatchObject({ stdout: '42\n', source: 'disk-snapshot' })
    expect(second.timing).toMatchObject({ restoreMs: expect.any(Number), connectMs: expect.any(Number) })
    expect(second.timing).not.toHaveProperty('bootMs')
    expect(second.timing).not.toHaveProperty('spawnMs')
    expect(other.stats().templates).toMatchObject({ boots: 0, restores: 1 })
  })

  it('is waited for by those who come meanwhile: one boot, one template', async () => {
    await using scheduler = new Scheduler({ cacheDir: cache.directory, memoryMb: 192 })
    const results = await Promise.all(
      Array.from({ length: 5 }, async () => await scheduler.run(PROGRAMS.bash, { language: 'bash' })),
    )
    expect(results.map(({ source }) => source).sort()).toEqual(['cold-boot', ...Array(4).fill('disk-snapshot')])
    expect(scheduler.stats().templates).toMatchObject({ boots: 1, restores: 4, saved: 1 })
  })

  it.each(['python', 'javascript'] as const)(
    'is the same for %s, and prepare saves the template ahead',
    async (language) => {
      await using scheduler = new Scheduler({ cacheDir: cache.directory })
      expect(await scheduler.prepare({ language })).toBe(true)
      const result = await scheduler.run(PROGRAMS[language], { language })
      expect(result).toMatchObject({ stdout: '42\n', source: 'disk-snapshot', state: 'kept' })
    },
  )

  it('is what whoever wants to see the boot gets each time', async () => {
    await using scheduler = new Scheduler({ cacheDir: cache.directory })
    const lines: string[] = []
    const result = await scheduler.run(PROGRAMS.bash, { language: 'bash', onBootLog: (line) => void lines.push(line) })
    expect(result.source).toBe('cold-boot')
    expect(lines.some((line) => line.includes('Linux version'))).toBe(true)
  })
})

describe('a VM resumed from a template', () => {
  const scheduler = new Scheduler({ cacheDir: cache.directory })
  beforeAll(async () => {
    for (const language of ['python', 'javascript', 'bash']) await scheduler.prepare({ language })
  })
  afterAll(async () => await scheduler.close())
  afterEach(() => void vi.useRealTimers())

  it('leaves nothing of the warm-up in the namespace', async () => {
    const python = await scheduler.run('print([name for name in dir() if not name.startswith("__")])')
    expect(python).toMatchObject({ stdout: '[]\n', source: resumed })
    const bash = await scheduler.run('echo "$?:$_:${OLDPWD-none}"; set -o | grep -c on; history | wc -l', {
      language: 'bash',
    })
    const booted = await scheduler.run('echo "$?:$_:${OLDPWD-none}"; set -o | grep -c on; history | wc -l', {
      language: 'bash',
      onBootLog: () => undefined,
    })
    expect(bash.source).toEqual(resumed)
    expect(bash.stdout).toBe(booted.stdout)
  })

  it('numbers the programs of its user from one, like a VM that was booted', async () => {
    expect((await scheduler.run('1 / 0')).error?.traceback).toContain('<input-1>')
    const failing = await scheduler.run('throw new Error("x")', { language: 'javascript' })
    expect(failing.error?.traceback).toContain('input-1.tsx')
    expect([failing.source]).toEqual([resumed])
  })

  it('keeps state from call to call, like one that was booted', async () => {
    await using sandbox = await scheduler.create({ env: { GREETING: 'hello' } })
    expect(sandbox.info().source).toEqual(resumed)
    await sandbox.runCode('x = 6')
    expect((await sandbox.runCode('import os; print(x * 7, os.environ["GREETING"])')).stdout).toBe('42 hello\n')
    expect((await sandbox.runCode('echo $GREETING', { language: 'bash' })).stdout).toBe('hello\n')
  })

  it.each([365, -365])('has the clock of its host, %i days from when the template was saved', async (days) => {
    const now = Date.now() + days * 86_400_000
    vi.useFakeTimers({ toFake: ['Date'], now })
    const result = await scheduler.run('import time; print(time.time())')
    expect(result.source).toEqual(resumed)
    expect(Math.abs(Number(result.stdout) * 1000 - now)).toBeLessThan(60_000)
  })

  it('exists fifty times at once', async () => {
    const results = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => await scheduler.run(`echo ${index}`, { language: 'bash' })),
    )
    expect(results.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 50 }, (_, index) => `${index}\n`))
    expect(results.map(({ source }) => source)).toEqual(Array(50).fill(resumed))
    // At most the spares that wait for another run in each of the three languages.
    expect(scheduler.stats().admission.inUse.vms).toBeLessThanOrEqual(3)
  })
})

describe('a template that is used again and again', () => {
  const run = async (scheduler: Scheduler): Promise<string> =>
    (await scheduler.run(PROGRAMS.bash, { language: 'bash' })).source
  const oneSpare = async (scheduler: Scheduler): Promise<void> =>
    await vi.waitFor(() => expect(scheduler.stats().templates).toMatchObject({ spares: 1 }), {
      timeout: 20_000,
      interval: 5,
    })

  it('C10: is read into the page cache when several are resumed at once, and not for one', async () => {
    /** Bytes that this process has read so far, from wherever (proc_pid_io(5)). */
    const bytesRead = async (): Promise<number> =>
      Number(/^rchar: (\d+)$/m.exec(await readFile('/proc/self/io', 'utf8'))?.[1])
    await using scheduler = new Scheduler({ cacheDir: cache.directory })
    await scheduler.prepare({ language: 'bash' })
    const memory = await leastMemory()
    expect(memory).toBeGreaterThan(10 * 2 ** 20)
    // The first use has its digests compared.
    await run(scheduler)
    const before = await bytesRead()
    await run(scheduler)
    const one = await bytesRead()
    expect(one - before).toBeLessThan(memory / 4)
    await Promise.all([run(scheduler), run(scheduler)])
    await vi.waitFor(async () => expect((await bytesRead()) - one).toBeGreaterThanOrEqual(memory), {
      timeout: 20_000,
    })
  })

  it('is loaded ahead, and the spare serves one run alone', async () => {
    const scheduler = new Scheduler({ cacheDir: cache.directory })
    expect([await run(scheduler), await run(scheduler)]).toEqual(['disk-snapshot', 'disk-snapshot'])
    await oneSpare(scheduler)
    const third = await scheduler.run(PROGRAMS.bash, { language: 'bash' })
    expect(third).toMatchObject({ stdout: '42\n', source: 'memory-snapshot' })
    expect(third.timing).not.toHaveProperty('setupMs')
    await oneSpare(scheduler)
    await scheduler.close()
    expect(qemuProcesses()).toEqual([])
    expect(scheduler.stats().admission.inUse).toMatchObject({ vms: 0 })
  })

  it('is loaded from the disk when its spare has died, or dies as it is taken', async () => {
    await using scheduler = new Scheduler({ cacheDir: cache.directory })
    await run(scheduler)
    await run(scheduler)
    await oneSpare(scheduler)
    process.kill(await oneQemu(), 'SIGKILL')
    expect(await run(scheduler)).toEqual(resumed)
    expect(scheduler.stats().templates).toMatchObject({ restoreFailures: 0, boots: 0, restores: 3 })
  })
})

describe('a program whose template is loaded ahead', () => {
  it.each([
    ['closes its scheduler and goes on', 'await scheduler.close(); console.log("closed")', 'closed\n'],
    ['may forget to close it', 'console.log("forgotten")', 'forgotten\n'],
  ])('%s', async (_, end, stdout) => {
    const program = [
      `import { Scheduler } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)}`,
      'const scheduler = new Scheduler({ cacheDir: process.env.CACHE })',
      'await scheduler.prepare({ language: "bash" })',
      `for (const _ of [1, 2]) await scheduler.run(${JSON.stringify(PROGRAMS.bash)}, { language: "bash" })`,
      'while (scheduler.stats().templates.spares === 0) await new Promise((resolve) => setTimeout(resolve, 5))',
      end,
    ].join('\n')
    const { stdout: said } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
      env: { ...process.env, CACHE: cache.directory },
      timeout: 60_000,
    })
    expect(said).toBe(stdout)
  })
})

describe('a template that cannot be saved', () => {
  it('costs nobody a result when the VM that is saved is killed', async () => {
    const { logger, lines } = recordingLogger()
    const scheduler = new Scheduler({ cacheDir: cache.directory, memoryMb: 160, logger })
    await scheduler.run(PROGRAMS.bash, { language: 'bash' })
    const saving = await oneQemu()
    process.kill(saving, 'SIGKILL')
    await scheduler.close()
    expect(scheduler.stats().templates).toMatchObject({ saved: 0, saveFailures: 1 })
    expect(lines.some((line) => line.startsWith('warn no template was saved'))).toBe(true)
    expect(await leftovers()).toEqual([])

    await using next = new Scheduler({ cacheDir: cache.directory, memoryMb: 160 })
    expect(await next.run(PROGRAMS.bash, { language: 'bash' })).toMatchObject({ stdout: '42\n', source: 'cold-boot' })
  })

  it('is given up when whoever closes does not want to wait', async () => {
    const scheduler = new Scheduler({ cacheDir: cache.directory, memoryMb: 168 })
    await scheduler.run(PROGRAMS.bash, { language: 'bash' })
    await scheduler.close({ signal: AbortSignal.abort() })
    expect(scheduler.stats().templates).toMatchObject({ saved: 0, saveFailures: 1 })
    expect(qemuProcesses()).toEqual([])
    expect(await leftovers()).toEqual([])
  })
})

describe('close', () => {
  it.each([
    ['a boot', { memoryMb: 176 }],
    ['a restore', {}],
  ])('ends %s at once and leaves nothing', async (_, options) => {
    const scheduler = new Scheduler({ cacheDir: cache.directory, ...options })
    const run = scheduler.run('while true; do :; done', { language: 'bash' })
    const outcome = run.catch((error: unknown) => error)
    await oneQemu()
    await scheduler.close({ signal: AbortSignal.abort() })
    expect(await outcome).toMatchObject({ code: 'SANDBOX_CLOSED' })
    expect(qemuProcesses()).toEqual([])
    expect(await leftovers()).toEqual([])
  })
})

describe('closing during the first use', () => {
  it('does not begin to save the template', async () => {
    const scheduler = new Scheduler({ cacheDir: cache.directory, memoryMb: 184 })
    const outcome = scheduler.run(PROGRAMS.bash, { language: 'bash' }).catch((error: unknown) => error)
    await oneQemu()
    await scheduler.close()
    expect(await outcome).toMatchObject({ code: 'SANDBOX_CLOSED' })
    expect(scheduler.stats().templates).toMatchObject({ saved: 0, saveFailures: 0, saving: 0 })
    expect(scheduler.stats().admission.admitted).toBe(1)
  })
})

/** The one QEMU that runs, once it does. */
async function oneQemu(): Promise<number> {
  return await vi.waitFor(
    () => {
      const [pid, ...more] = qemuProcesses()
      if (pid === undefined || more.length > 0) throw new Error('not one QEMU')
      return pid
    },
    { timeout: 20_000, interval: 5 },
  )
}

/** Bytes of memory that the smallest template holds. */
async function leastMemory(): Promise<number> {
  const directory = join(cache.directory, 'templates')
  const keys = (await readdir(directory)).filter((name) => /^[0-9a-f]+$/.test(name))
  const sizes = keys.map(async (key) => {
    const manifest = JSON.parse(await readFile(join(directory, key, 'manifest.json'), 'utf8')) as {
      readonly ram: { readonly chunks: readonly (readonly [first: number, count: number])[] }
    }
    return manifest.ram.chunks.reduce((sum, [, count]) => sum + count * 2 ** 20, 0)
  })
  return Math.min(...(await Promise.all(sizes)))
}

/** Work directories of templates. */
async function leftovers(): Promise<readonly string[]> {
  const directory = join(cache.directory, 'templates')
  const names = await readdir(directory)
  for (const name of names) expect((await stat(join(directory, name))).isDirectory()).toBe(true)
  return names.filter((name) => !/^[0-9a-f]+$/.test(name))
}
