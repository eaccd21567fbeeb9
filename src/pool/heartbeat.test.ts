import { describe, expect, it, vi } from 'vitest'
import { TestEntry, turn } from '../../test/pool/test-entry.ts'
import { makePool } from '../../test/pool/test-pool.ts'
import { Heartbeat } from './heartbeat.ts'

/** Timers that keep this process open. Those of the test runner are among them, so only differences tell. */
const holdingTimers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length

/** A heartbeat of one silent entry, and the moment when it is asked. */
function silentHeartbeat() {
  const entry = new TestEntry()
  entry.isSilent = true
  let onAsked: () => void = () => undefined
  const asked = new Promise<void>((resolve) => (onAsked = resolve))
  const isAlive = entry.isAlive.bind(entry)
  entry.isAlive = async () => {
    onAsked()
    return await isAlive()
  }
  const resident = { entry }
  const heartbeat = new Heartbeat({
    intervalMs: 1,
    idle: () => [resident],
    onAnswer: () => undefined,
  })
  return { heartbeat, resident, asked }
}

describe('a heartbeat', () => {
  it('holds no process open, at rest or waiting for an answer', async () => {
    const before = holdingTimers()
    const { heartbeat, resident, asked } = silentHeartbeat()
    heartbeat.arm()
    expect(holdingTimers()).toBe(before)
    await asked
    expect(heartbeat.isAsking(resident)).toBe(true)
    expect(holdingTimers()).toBe(before)
    heartbeat.stop()
  })

  it('rests for good when it is stopped, whoever arms it', () => {
    vi.useFakeTimers()
    try {
      const { heartbeat } = silentHeartbeat()
      heartbeat.arm()
      expect(vi.getTimerCount()).toBe(1)
      heartbeat.stop()
      heartbeat.arm()
      expect(vi.getTimerCount()).toBe(0)
      const stopped = silentHeartbeat().heartbeat
      stopped.stop()
      stopped.arm()
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('a pool', () => {
  it('holds no process open while it waits out a setback; who waits for it does', async () => {
    const before = holdingTimers()
    const { pool, filler } = makePool(1)
    pool.start()
    ;(await filler.next()).fail(new Error('no luck'))
    await turn()
    expect(pool.stats()).toMatchObject({ filling: 0, fillFailures: 1 })
    expect(holdingTimers()).toBe(before)
    const ready = pool.ready()
    expect(holdingTimers()).toBe(before + 1)
    ;(await filler.next()).finish(new TestEntry())
    await ready
    expect(holdingTimers()).toBe(before)
    await pool.close()
  })
})
