import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { outcomeOf, stateOf, TestEntry, turn } from '../../test/pool/test-entry.ts'
import { fullPool, makePool, PAST_ANY_DELAY_MS, PAST_PAUSE_MS } from '../../test/pool/test-pool.ts'
import { DependencyError } from '../base/index.ts'
import { FILLS_AT_ONCE } from './refill.ts'

// Only what the pool's own delays are made of: what has no delay is waited for by real turns of the event loop.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

describe('filling', () => {
  it('does not begin before it is started', async () => {
    const { pool, filler } = makePool(2)
    await turn()
    expect(filler.fills).toHaveLength(0)
    expect(pool.take()).toBeUndefined()
    await turn()
    expect(filler.fills).toHaveLength(0)
  })

  it('goes on, a bounded number at once, until the pool is full, and then rests', async () => {
    const { pool, filler } = makePool(4)
    pool.start()
    pool.start()
    for (let idle = 0; idle < 4; idle += 1) {
      await turn()
      expect(filler.fills).toHaveLength(Math.min(4, idle + FILLS_AT_ONCE))
      expect(pool.stats()).toMatchObject({ idle, filling: Math.min(4 - idle, FILLS_AT_ONCE) })
      await filler.supply()
    }
    await turn()
    expect(filler.fills).toHaveLength(4)
    expect(pool.stats()).toMatchObject({ size: 4, idle: 4, filling: 0 })
  })

  it('is due at the check-out, and lets what was checked out go first', async () => {
    const { pool, filler } = await fullPool(1)
    pool.take()
    expect(pool.stats()).toMatchObject({ idle: 0, filling: 1 })
    await vi.advanceTimersByTimeAsync(PAST_PAUSE_MS - 1)
    await turn()
    expect(filler.fills).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    await turn()
    expect(filler.fills).toHaveLength(2)
  })

  it('refills after a burst as it filled, with one pause', async () => {
    const { pool, filler } = await fullPool(4)
    for (let count = 0; count < 4; count += 1) expect(pool.take()).toBeDefined()
    await turn()
    expect(filler.fills).toHaveLength(4)
    await vi.advanceTimersByTimeAsync(PAST_PAUSE_MS)
    await turn()
    expect(filler.fills).toHaveLength(4 + FILLS_AT_ONCE)
    expect(pool.stats()).toMatchObject({ idle: 0, filling: FILLS_AT_ONCE })
    for (let count = 0; count < 4; count += 1) await filler.supply()
    expect(pool.stats()).toMatchObject({ idle: 4, filling: 0 })
  })

  it('of a pool of none does nothing, and is done', async () => {
    const { pool, filler } = makePool(0)
    await pool.ready()
    expect(pool.take()).toBeUndefined()
    expect(filler.fills).toHaveLength(0)
  })
})

describe('a check-out', () => {
  it('gives each entry once, the oldest first', async () => {
    const { pool, entries } = await fullPool(3)
    expect([pool.take(), pool.take(), pool.take()]).toEqual(entries)
    expect(pool.take()).toBeUndefined()
  })

  it('counts hits and misses', async () => {
    const { pool, filler } = await fullPool(1)
    expect(pool.stats()).toMatchObject({ hits: 0, misses: 0, hitRate: undefined })
    pool.take()
    pool.take()
    pool.take()
    await vi.advanceTimersByTimeAsync(PAST_PAUSE_MS)
    await filler.supply()
    pool.take()
    expect(pool.stats()).toMatchObject({ hits: 2, misses: 2, hitRate: 0.5 })
  })

  it('moves the ownership: the pool closes nothing that it has handed out', async () => {
    const { pool, filler, entries } = await fullPool(1)
    const taken = pool.take()
    taken?.die()
    await turn()
    await vi.advanceTimersByTimeAsync(PAST_PAUSE_MS)
    const closed = pool.close()
    ;(await filler.next()).fail(new Error('aborted'))
    await closed
    expect(entries[0]?.closes).toBe(0)
    expect(pool.stats().died).toBe(0)
  })

  it('never gives an entry that has ended', async () => {
    const { pool, filler, entries } = await fullPool(2)
    entries[0]?.die()
    await turn()
    expect(pool.take()).toBe(entries[1])
    expect(pool.take()).toBeUndefined()
    expect(filler.fills.length).toBeGreaterThanOrEqual(2)
  })

  it('never gives an entry that knows of its end before the event does', async () => {
    const { pool, entries } = await fullPool(2)
    const [first, second] = entries
    if (first !== undefined) first.hasEnded = true
    expect(pool.take()).toBe(second)
    expect(first?.closes).toBe(1)
    expect(pool.stats()).toMatchObject({ died: 1, hits: 1, misses: 0 })
  })

  it('that finds only dead ones is a miss', async () => {
    const { pool, entries } = await fullPool(1)
    for (const entry of entries) entry.hasEnded = true
    expect(pool.take()).toBeUndefined()
    expect(pool.stats()).toMatchObject({ hits: 0, misses: 1, died: 1 })
  })

  it('never gives an entry that had ended when it was filled', async () => {
    const { pool, filler } = makePool(1)
    pool.start()
    const dead = new TestEntry()
    dead.die()
    ;(await filler.next()).finish(dead)
    // Asked at every chance that there is between the fill and the event.
    for (let tick = 0; tick < 20; tick += 1) {
      expect(pool.take()).toBeUndefined()
      await Promise.resolve()
    }
    expect(dead.closes).toBe(1)
    expect(pool.stats()).toMatchObject({ idle: 0, died: 1 })
  })
})

describe('ready', () => {
  it('waits until the pool is full, starting it', async () => {
    const { pool, filler } = makePool(2)
    const ready = pool.ready()
    await filler.supply()
    expect(await stateOf(ready)).toBe('waiting')
    await filler.supply()
    await ready
    expect(pool.stats().idle).toBe(2)
  })

  it('waits again after a check-out, and not if nothing was taken', async () => {
    const { pool, filler } = await fullPool(1)
    await pool.ready()
    pool.take()
    const ready = pool.ready()
    await vi.advanceTimersByTimeAsync(PAST_PAUSE_MS)
    expect(await stateOf(ready)).toBe('waiting')
    await filler.supply()
    await ready
  })

  it('does not take a dead entry for a full pool', async () => {
    const { pool, filler, entries } = await fullPool(1)
    for (const entry of entries) entry.hasEnded = true
    const ready = pool.ready()
    expect(await stateOf(ready)).toBe('waiting')
    await filler.supply()
    await ready
  })

  it('rejects with the first cause when filling keeps failing', async () => {
    const { pool, filler } = makePool(1)
    const ready = pool.ready()
    const outcome = outcomeOf(ready)
    for (const cause of ['the first', 'the second', 'the third']) {
      ;(await filler.next()).fail(new Error(cause))
      await vi.advanceTimersByTimeAsync(PAST_ANY_DELAY_MS)
    }
    expect(await outcome).toMatchObject({ message: 'the first' })
  })

  it('rejects when entries are filled but never live', async () => {
    const { pool, filler } = makePool(1, { heartbeatMs: PAST_ANY_DELAY_MS * 9 })
    const ready = pool.ready()
    const outcome = outcomeOf(ready)
    for (let count = 0; count < 3; count += 1) {
      const entry = new TestEntry()
      entry.die()
      ;(await filler.next()).finish(entry)
      await turn()
      await vi.advanceTimersByTimeAsync(PAST_ANY_DELAY_MS)
    }
    expect(await outcome).toMatchObject({ code: 'VM_LOST', details: { dispatched: false } })
  })

  it('rejects at once for a cause that cannot pass, and asks anew when asked anew', async () => {
    const { pool, filler } = makePool(1)
    const first = outcomeOf(pool.ready())
    ;(await filler.next()).fail(new DependencyError('no image', { dependency: 'image', fix: 'build one' }))
    expect(await first).toMatchObject({ code: 'DEPENDENCY' })
    // The image was built meanwhile: no delay is waited out.
    const second = pool.ready()
    await filler.supply()
    await second
  })

  it('ends with its signal and leaves the pool alone', async () => {
    const { pool, filler } = makePool(1)
    const controller = new AbortController()
    const aborted = pool.ready(controller.signal)
    const other = pool.ready()
    const why = new Error('enough')
    controller.abort(why)
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED', cause: why })
    await expect(pool.ready(controller.signal)).rejects.toMatchObject({ code: 'ABORTED' })
    expect((await filler.next()).signal.aborted).toBe(false)
    filler.fills[0]?.finish(new TestEntry())
    await other
  })
})
