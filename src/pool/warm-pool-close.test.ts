import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { outcomeOf, stateOf, TestEntry, turn } from '../../test/pool/test-entry.ts'
import { fullPool, makePool } from '../../test/pool/test-pool.ts'
import { createLogger } from '../base/index.ts'
import { WarmPool } from './warm-pool.ts'

// Only what the pool's own delays are made of: what has no delay is waited for by real turns of the event loop.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

describe('close', () => {
  it('closes what is idle and waits until it is dead', async () => {
    const { pool, entries } = await fullPool(2)
    for (const entry of entries) entry.isSlowToClose = true
    const closed = pool.close()
    expect(entries.map((entry) => entry.closes)).toEqual([1, 1])
    entries[0]?.die()
    expect(await stateOf(closed)).toBe('waiting')
    entries[1]?.die()
    await closed
    expect(pool.stats()).toMatchObject({ idle: 0, filling: 0, died: 0 })
  })

  it('joins a close in progress, and is done when asked again', async () => {
    const { pool, entries } = await fullPool(1)
    const [entry] = entries
    if (entry !== undefined) entry.isSlowToClose = true
    const both = [pool.close(), pool.close()]
    expect(await Promise.all(both.map(stateOf))).toEqual(['waiting', 'waiting'])
    entry?.die()
    await Promise.all(both)
    await pool.close()
    expect(entry?.closes).toBe(1)
  })

  it('aborts a fill and waits for its end', async () => {
    const { pool, filler } = makePool(1)
    pool.start()
    const fill = await filler.next()
    const closed = pool.close()
    expect(fill.signal.aborted).toBe(true)
    expect(await stateOf(closed)).toBe('waiting')
    fill.fail(fill.signal.reason)
    await closed
    expect(pool.stats()).toMatchObject({ filling: 0, fillFailures: 0 })
  })

  it('closes the entry of a fill that could not be stopped any more', async () => {
    const { pool, filler } = makePool(1)
    pool.start()
    const fill = await filler.next()
    const closed = pool.close()
    const late = new TestEntry()
    late.isSlowToClose = true
    fill.finish(late)
    expect(await stateOf(closed)).toBe('waiting')
    expect(late.closes).toBe(1)
    expect(pool.take()).toBeUndefined()
    late.die()
    await closed
  })

  it('before a fill has begun keeps it from beginning', async () => {
    const { pool, filler } = makePool(1)
    pool.start()
    await pool.close()
    expect(filler.fills).toHaveLength(0)
  })

  it('in the pause after a check-out waits for nothing', async () => {
    const { pool, filler } = await fullPool(1)
    pool.take()
    expect(pool.stats().filling).toBe(1)
    await pool.close()
    expect(filler.fills).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('does not wait for an entry to answer the heartbeat', async () => {
    const { pool, entries } = await fullPool(2, { heartbeatMs: 1_000 })
    for (const entry of entries) entry.isSilent = true
    await vi.advanceTimersByTimeAsync(1_000)
    await turn()
    expect(entries[0]?.asked).toHaveLength(1)
    await pool.close()
    await turn()
    expect(entries.map((entry) => entry.asked.length)).toEqual([1, 0])
    expect(entries.map((entry) => entry.closes)).toEqual([1, 1])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('during a delay after a setback leaves no timer', async () => {
    const { pool, filler } = makePool(1)
    pool.start()
    ;(await filler.next()).fail(new Error('no luck'))
    await turn()
    expect(vi.getTimerCount()).toBe(1)
    await pool.close()
    expect(vi.getTimerCount()).toBe(0)
    expect(filler.fills).toHaveLength(1)
  })

  it('waits for an entry that was being closed already', async () => {
    const { pool, entries } = await fullPool(1)
    const [entry] = entries
    if (entry === undefined) throw new Error('the pool is empty')
    entry.isSlowToClose = true
    entry.hasEnded = true
    pool.take()
    const closed = pool.close()
    expect(await stateOf(closed)).toBe('waiting')
    entry.die()
    await closed
    expect(entry.closes).toBe(1)
  })

  it('tells those who wait for a full pool, and refuses later calls', async () => {
    const { pool, filler } = makePool(1)
    const ready = outcomeOf(pool.ready())
    const fill = await filler.next()
    const closed = pool.close()
    expect(await ready).toMatchObject({ code: 'SANDBOX_CLOSED' })
    fill.fail(new Error('aborted'))
    await closed
    await expect(pool.ready()).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
    pool.start()
    expect(pool.take()).toBeUndefined()
    await turn()
    expect(filler.fills).toHaveLength(1)
    expect(pool.stats()).toMatchObject({ hits: 0, misses: 0 })
  })

  it('comes with the end of a scope', async () => {
    const entry = new TestEntry()
    {
      await using pool = new WarmPool({
        name: 'bash',
        size: 1,
        fill: async () => await Promise.resolve(entry),
        logger: createLogger('silent'),
      })
      await pool.ready()
    }
    expect(entry.closes).toBe(1)
  })
})
