import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ResponseLimit, UserCode } from './response-limit.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('ResponseLimit', () => {
  it('expires 20 s after the time limit of the program, once', () => {
    const onExpired = vi.fn<(reason: string) => void>()
    const limit = new ResponseLimit(1_000, { watch: new UserCode(), onExpired })
    vi.advanceTimersByTime(20_999)
    expect(onExpired).not.toHaveBeenCalled()
    vi.advanceTimersByTime(100_000)
    expect(onExpired).toHaveBeenCalledTimes(1)
    limit.stop()
  })

  it("does not count the caller's callbacks, even when none is running at the moment it would expire", () => {
    const watch = new UserCode()
    const onExpired = vi.fn<(reason: string) => void>()
    const limit = new ResponseLimit(1_000, { watch, onExpired })
    watch.change(1)
    vi.advanceTimersByTime(20_000)
    watch.change(-1)
    vi.advanceTimersByTime(20_999)
    expect(onExpired).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(onExpired).toHaveBeenCalledTimes(1)
    limit.stop()
  })

  it('waits for a callback as long as it runs, and never after it was stopped', () => {
    const watch = new UserCode()
    const onExpired = vi.fn<(reason: string) => void>()
    const limit = new ResponseLimit(1_000, { watch, onExpired })
    watch.change(1)
    watch.change(1)
    vi.advanceTimersByTime(3_600_000)
    expect(onExpired).not.toHaveBeenCalled()
    limit.stop()
    vi.advanceTimersByTime(3_600_000)
    expect(vi.getTimerCount()).toBe(0)
  })
})
