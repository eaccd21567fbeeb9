import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { untilAborted, withDeadline } from './deadline.ts'

const never = new Promise<never>(() => undefined)
const late = (): Error => new Error('late')

describe('withDeadline', () => {
  it('gives what the promise gives, and leaves no listener behind', async () => {
    const { signal } = new AbortController()
    const options = { timeoutMs: 60_000, onTimeout: late, signal }
    await expect(withDeadline(Promise.resolve(7), options)).resolves.toBe(7)
    await expect(withDeadline(Promise.reject(new Error('its own')), options)).rejects.toThrow('its own')
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  it('gives up at the deadline', async () => {
    await expect(withDeadline(never, { timeoutMs: 1, onTimeout: late })).rejects.toThrow('late')
  })

  it('ends at once when the signal aborts, with its reason as the cause', async () => {
    const controller = new AbortController()
    const wait = withDeadline(never, { timeoutMs: 60_000, onTimeout: late, signal: controller.signal })
    controller.abort('why')
    await expect(wait).rejects.toMatchObject({ code: 'ABORTED', cause: 'why' })
  })

  it('observes a promise that fails later, even when the signal was aborted from the start', async () => {
    let fail: (error: Error) => void = () => undefined
    const work = new Promise<never>((_, reject) => {
      fail = reject
    })
    await expect(
      withDeadline(work, { timeoutMs: 60_000, onTimeout: late, signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'ABORTED' })
    // Vitest fails the run on an unhandled rejection.
    fail(new Error('nobody waits any more'))
    await new Promise((resolve) => setImmediate(resolve))
  })
})

describe('untilAborted', () => {
  it('tells the owner once and rejects at once', async () => {
    const controller = new AbortController()
    let told = 0
    const wait = untilAborted(never, controller.signal, () => {
      told += 1
    })
    controller.abort()
    await expect(wait).rejects.toMatchObject({ code: 'ABORTED' })
    expect(told).toBe(1)
  })

  it('is the work itself without a signal', async () => {
    await expect(untilAborted(Promise.resolve(1), undefined)).resolves.toBe(1)
  })
})
