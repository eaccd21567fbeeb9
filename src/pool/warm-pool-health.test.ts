import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { TestEntry, turn } from '../../test/pool/test-entry.ts'
import { fullPool, makePool, PAST_ANY_DELAY_MS, PAST_PAUSE_MS } from '../../test/pool/test-pool.ts'
import { CapacityError } from '../base/index.ts'

// Only what the pool's own delays are made of: what has no delay is waited for by real turns of the event loop.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

describe('an entry that ends while it is idle', () => {
  it('is closed, counted and replaced', async () => {
    const { pool, filler, entries } = await fullPool(2)
    entries[1]?.die()
    await turn()
    expect(pool.stats()).toMatchObject({ idle: 1, died: 1 })
    expect(entries[1]?.closes).toBe(1)
    await vi.advanceTimersByTimeAsync(PAST_ANY_DELAY_MS)
    await filler.supply()
    expect(pool.stats()).toMatchObject({ idle: 2, died: 1 })
  })

  it('keeps its place until it is dead', async () => {
    const { pool, filler, entries } = await fullPool(1)
    const [entry] = entries
    if (entry === undefined) throw new Error('the pool is empty')
    entry.isSlowToClose = true
    entry.hasEnded = true
    expect(pool.take()).toBeUndefined()
    await vi.advanceTimersByTimeAsync(PAST_ANY_DELAY_MS)
    await turn()
    expect(filler.fills).toHaveLength(1)
    entry.die()
    await turn()
    expect(filler.fills).toHaveLength(2)
  })

  it('is replaced at once if it had proven good, later if it had not', async () => {
    const { pool, filler, entries } = await fullPool(1, { heartbeatMs: 50 })
    await vi.advanceTimersByTimeAsync(50)
    await turn()
    expect(entries[0]?.asked).toHaveLength(1)
    entries[0]?.die()
    const second = await filler.supply()
    expect(pool.stats()).toMatchObject({ idle: 1, died: 1 })
    second.die()
    await turn()
    expect(filler.fills).toHaveLength(2)
  })

  it('again and again makes no busy loop', async () => {
    const { pool, filler } = makePool(1, { heartbeatMs: PAST_ANY_DELAY_MS * 2 })
    pool.start()
    for (let round = 1; round <= 7; round += 1) {
      ;(await filler.supply()).die()
      await turn()
      expect(filler.fills).toHaveLength(round)
      // Half of the growing delay never passes early, whatever the jitter; all of it always does.
      await vi.advanceTimersByTimeAsync(125 * 2 ** (round - 1) - 1)
      await turn()
      expect(filler.fills).toHaveLength(round)
      await vi.advanceTimersByTimeAsync(125 * 2 ** (round - 1) + 1)
    }
    expect(pool.stats().died).toBe(7)
  })

  it('with its rejection is no less an end', async () => {
    const { pool, filler } = makePool(1)
    pool.start()
    const entry = new TestEntry()
    let reject: (error: unknown) => void = () => undefined
    Object.assign(entry, { ended: new Promise((_, onEnd) => (reject = onEnd)), close: async () => undefined })
    ;(await filler.next()).finish(entry)
    await turn()
    reject(new Error('lost'))
    await turn()
    expect(pool.stats()).toMatchObject({ idle: 0, died: 1 })
  })

  it('is let go even if it cannot be closed, and said so', async () => {
    const { pool, filler, lines } = makePool(1)
    pool.start()
    const entry = await filler.supply()
    entry.close = async () => await Promise.reject(new Error('stuck'))
    entry.die()
    await vi.advanceTimersByTimeAsync(PAST_ANY_DELAY_MS)
    await filler.supply()
    expect(pool.stats().idle).toBe(1)
    expect(lines.join('\n')).toMatch(/ERROR pool entry did not close .*stuck/)
  })
})

describe('the heartbeat', () => {
  it('asks one entry after the other', async () => {
    const { entries } = await fullPool(3, { heartbeatMs: 1_000 })
    for (const entry of entries) entry.isSilent = true
    const asked = (): number[] => entries.map((entry) => entry.asked.length)
    await vi.advanceTimersByTimeAsync(999)
    await turn()
    expect(asked()).toEqual([0, 0, 0])
    await vi.advanceTimersByTimeAsync(1)
    await turn()
    expect(asked()).toEqual([1, 0, 0])
    entries[0]?.asked[0]?.(true)
    await turn()
    expect(asked()).toEqual([1, 1, 0])
    entries[1]?.asked[0]?.(true)
    await turn()
    entries[2]?.asked[0]?.(true)
    await turn()
    expect(asked()).toEqual([1, 1, 1])
    await vi.advanceTimersByTimeAsync(1_000)
    await turn()
    expect(asked()).toEqual([2, 1, 1])
  })

  it('replaces an entry that says no, that throws, and that says nothing', async () => {
    const { pool, filler, entries } = await fullPool(4, { heartbeatMs: 1_000 })
    const [no, throws, silent, good] = entries
    if (no === undefined || throws === undefined || silent === undefined) throw new Error('the pool is not full')
    no.isAlive = async () => await Promise.resolve(false)
    throws.isAlive = () => {
      throw new Error('not even a promise')
    }
    silent.isSilent = true
    await vi.advanceTimersByTimeAsync(1_000)
    await turn()
    expect(entries.map((entry) => entry.closes)).toEqual([1, 1, 0, 0])
    await vi.advanceTimersByTimeAsync(PAST_ANY_DELAY_MS)
    await turn()
    expect(entries.map((entry) => entry.closes)).toEqual([1, 1, 1, 0])
    for (let count = 0; count < 3; count += 1) {
      await vi.advanceTimersByTimeAsync(PAST_ANY_DELAY_MS)
      await filler.supply()
    }
    expect(pool.stats()).toMatchObject({ idle: 4, died: 3 })
    expect(pool.take()).toBe(good)
  })

  it('leaves an entry alone that is taken while it is asked', async () => {
    const { pool, entries } = await fullPool(1, { heartbeatMs: 1_000 })
    const [entry] = entries
    if (entry !== undefined) entry.isSilent = true
    await vi.advanceTimersByTimeAsync(1_000)
    await turn()
    expect(pool.take()).toBe(entry)
    entry?.asked[0]?.(false)
    await turn()
    expect(entry?.closes).toBe(0)
    expect(pool.stats().died).toBe(0)
  })

  it('is no reason to get the entry that is being asked, while there is another', async () => {
    const { pool, entries } = await fullPool(2, { heartbeatMs: 1_000 })
    for (const entry of entries) entry.isSilent = true
    await vi.advanceTimersByTimeAsync(1_000)
    await turn()
    expect(entries[0]?.asked).toHaveLength(1)
    expect(pool.take()).toBe(entries[1])
    expect(pool.take()).toBe(entries[0])
  })

  it('does not ask an entry that was taken before its turn came', async () => {
    const { pool, entries } = await fullPool(2, { heartbeatMs: 1_000 })
    for (const entry of entries) entry.isSilent = true
    await vi.advanceTimersByTimeAsync(1_000)
    await turn()
    expect(pool.take()).toBe(entries[1])
    entries[0]?.asked[0]?.(true)
    await turn()
    expect(entries.map((entry) => entry.asked.length)).toEqual([1, 0])
  })

  it('goes on after the pool was empty', async () => {
    const { pool, filler } = await fullPool(1, { heartbeatMs: 1_000 })
    pool.take()
    await vi.advanceTimersByTimeAsync(1_000)
    const entry = await filler.supply()
    await vi.advanceTimersByTimeAsync(1_000)
    await turn()
    expect(entry.asked).toHaveLength(1)
  })

  it('sets no timer while there is nothing to ask', async () => {
    const { pool } = await fullPool(1, { heartbeatMs: 1_000 })
    expect(vi.getTimerCount()).toBe(1)
    pool.take()
    await vi.advanceTimersByTimeAsync(1_000)
    await turn()
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a fill that fails', () => {
  it('is tried again after a delay that grows', async () => {
    const { pool, filler } = makePool(1)
    pool.start()
    for (let round = 1; round <= 5; round += 1) {
      ;(await filler.next()).fail(new Error('no luck'))
      await turn()
      await vi.advanceTimersByTimeAsync(125 * 2 ** (round - 1) - 1)
      await turn()
      expect(filler.fills).toHaveLength(round)
      await vi.advanceTimersByTimeAsync(125 * 2 ** (round - 1) + 1)
      await turn()
      expect(filler.fills).toHaveLength(round + 1)
    }
    expect(pool.stats()).toMatchObject({ fillFailures: 5, idle: 0, filling: 1 })
  })

  it('is not tried earlier for the misses it causes', async () => {
    const { pool, filler } = makePool(1)
    pool.start()
    ;(await filler.next()).fail(new Error('no luck'))
    await turn()
    for (let count = 0; count < 10; count += 1) pool.take()
    await turn()
    expect(filler.fills).toHaveLength(1)
  })

  it('is forgotten when an entry has served', async () => {
    const { pool, filler } = makePool(1)
    pool.start()
    for (let count = 0; count < 6; count += 1) {
      ;(await filler.next()).fail(new Error('no luck'))
      await vi.advanceTimersByTimeAsync(PAST_ANY_DELAY_MS)
    }
    await filler.supply()
    pool.take()
    await vi.advanceTimersByTimeAsync(PAST_PAUSE_MS)
    ;(await filler.next()).fail(new Error('once more'))
    await turn()
    await vi.advanceTimersByTimeAsync(250)
    await turn()
    expect(filler.fills).toHaveLength(9)
  })

  it('is forgotten when an entry has answered', async () => {
    const { pool, filler } = makePool(1, { heartbeatMs: 1_000 })
    pool.start()
    for (let count = 0; count < 6; count += 1) {
      ;(await filler.next()).fail(new Error('no luck'))
      await vi.advanceTimersByTimeAsync(PAST_ANY_DELAY_MS)
    }
    const entry = await filler.supply()
    await vi.advanceTimersByTimeAsync(1_000)
    await turn()
    entry.die()
    ;(await filler.next()).fail(new Error('once more'))
    await turn()
    await vi.advanceTimersByTimeAsync(250)
    await turn()
    expect(filler.fills).toHaveLength(9)
  })

  it('on a full host is tried again soon, however often it was full', async () => {
    const { pool, filler } = makePool(1)
    pool.start()
    for (let count = 1; count <= 10; count += 1) {
      ;(await filler.next()).fail(new CapacityError('full', { waitedMs: 0 }))
      await turn()
      await vi.advanceTimersByTimeAsync(2_000)
      await turn()
      expect(filler.fills).toHaveLength(count + 1)
    }
    expect(pool.stats().fillFailures).toBe(0)
  })

  it('is said once, not each time', async () => {
    const { pool, filler, lines } = makePool(1)
    pool.start()
    for (let count = 0; count < 5; count += 1) {
      ;(await filler.next()).fail(new Error('no luck'))
      await vi.advanceTimersByTimeAsync(PAST_ANY_DELAY_MS)
    }
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/WARN .*pool=python .*no luck/)
  })
})
