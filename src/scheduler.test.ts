import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { Scheduler } from './scheduler.ts'

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
