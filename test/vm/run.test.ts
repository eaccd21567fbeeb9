import { describe, expect, it } from 'vitest'
import { Scheduler } from '../../src/index.ts'

describe('Scheduler.run', () => {
  const scheduler = new Scheduler()

  it.each([
    ['python', 'import sys; print(6 * 7); print("to stderr", file=sys.stderr)', '42\n'],
    ['javascript', 'const n: number = 6 * 7; console.log(n); console.error("to stderr")', '42\n'],
    ['bash', 'echo $((6 * 7)); echo to stderr >&2', '42\n'],
  ])('runs %s in a VM of its own', async (language, code, stdout) => {
    const result = await scheduler.run(code, { language })
    expect(result).toMatchObject({
      stdout,
      stderr: 'to stderr\n',
      exitCode: 0,
      reason: 'exit',
      stdoutTruncated: false,
      stderrTruncated: false,
    })
    expect(scheduler.stats().sandboxes).toBe(0)
  })

  it('measures every phase that took place, and their sum is not more than the whole', async () => {
    const { timing } = await scheduler.run('print(1)', { onBootLog: () => undefined })
    const { totalMs, ...phases } = timing
    expect(Object.keys(phases).sort()).toEqual([
      'admissionMs',
      'bootMs',
      'connectMs',
      'executeMs',
      'setupMs',
      'spawnMs',
      'teardownMs',
    ])
    for (const ms of Object.values(phases)) expect(ms).toBeGreaterThan(0)
    expect(Object.values(phases).reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual(totalMs)
  })

  it('gives the program its environment and nothing of the host', async () => {
    process.env['EXEC_SANDBOX_TEST_SECRET'] = 'host-only'
    try {
      const result = await scheduler.run('env', { language: 'bash', env: { GREETING: 'hello there' } })
      expect(result.stdout).toContain('GREETING=hello there\n')
      expect(result.stdout).not.toContain('host-only')
      expect(result.stdout).not.toContain(process.env['PATH'] ?? 'no path')
    } finally {
      delete process.env['EXEC_SANDBOX_TEST_SECRET']
    }
  })

  it('refuses bad input before any VM work', async () => {
    const before = scheduler.stats().templates
    await expect(scheduler.run('')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(scheduler.run('print(1)', { memoryMb: 1 })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(scheduler.run('print(1)', { env: { LD_PRELOAD: 'x' } })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    })
    expect(scheduler.stats().templates).toEqual(before)
  })

  it('streams what callbacks get, and it is the captured text', async () => {
    const pieces: string[] = []
    const bytes: Uint8Array[] = []
    // More than a pipe and a frame hold: however late it is read, it does not come in one piece.
    const result = await scheduler.run('for i in range(8000): print("größe 😀", i)', {
      onStdout: (text, raw) => {
        pieces.push(text)
        bytes.push(raw.slice())
      },
    })
    expect(pieces.length).toBeGreaterThan(1)
    expect(pieces.join('')).toBe(result.stdout)
    expect(Buffer.concat(bytes).toString()).toBe(result.stdout)
    expect(result.stdout.split('\n')).toHaveLength(8001)
  })

  it('rejects with AbortedError when the signal aborts during the boot, and leaves nothing', async () => {
    const controller = new AbortController()
    const run = scheduler.run('print(1)', { signal: controller.signal })
    const reason = new Error('changed my mind')
    setImmediate(() => controller.abort(reason))
    await expect(run).rejects.toMatchObject({ code: 'ABORTED', cause: reason })
    expect(scheduler.stats().sandboxes).toBe(0)
  })

  it('ends launches in progress when it is closed, and refuses new work', async () => {
    const closing = new Scheduler()
    const run = closing.run('print(1)')
    const settled = run.catch((error: unknown) => error)
    await closing.close()
    await closing.close()
    expect(await settled).toMatchObject({ code: 'SANDBOX_CLOSED' })
    await expect(closing.run('print(1)')).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
  })
})
