import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FILLS_AT_ONCE, fillsToStart, type PoolLevel, refillDelayMs } from './refill.ts'

const count = fc.integer({ min: 0, max: 20 })
const level = fc.record({
  size: count,
  idle: count,
  filling: count,
  retiring: count,
  delayed: fc.boolean(),
  open: fc.boolean(),
})

const held = (at: PoolLevel): number => at.idle + at.filling + at.retiring

describe('fillsToStart', () => {
  it('starts nothing in a pool that is not open, or that waits out a setback', () => {
    fc.assert(
      fc.property(level, (at) => {
        expect(fillsToStart({ ...at, open: false })).toBe(0)
        expect(fillsToStart({ ...at, delayed: true })).toBe(0)
      }),
    )
  })

  it('never has more than the size, counting what is being filled and what is not yet dead', () => {
    fc.assert(
      fc.property(level, (at) => {
        const fills = fillsToStart(at)
        expect(fills).toBeGreaterThanOrEqual(0)
        expect(held(at) + fills).toBeLessThanOrEqual(Math.max(at.size, held(at)))
      }),
    )
  })

  it('never has more fills in progress than its bound', () => {
    fc.assert(
      fc.property(level, (at) => {
        expect(at.filling + fillsToStart(at)).toBeLessThanOrEqual(Math.max(at.filling, FILLS_AT_ONCE))
      }),
    )
  })

  it('always starts one where there is room and none is in progress', () => {
    fc.assert(
      fc.property(level, (at) => {
        fc.pre(at.idle + at.retiring < at.size)
        expect(fillsToStart({ ...at, filling: 0, open: true, delayed: false })).toBeGreaterThan(0)
      }),
    )
  })

  it('fills a pool of any size from empty, step by step', () => {
    fc.assert(
      fc.property(count, (size) => {
        let at: PoolLevel = { size, idle: 0, filling: 0, retiring: 0, delayed: false, open: true }
        for (let fills = fillsToStart(at); fills > 0; fills = fillsToStart(at)) at = { ...at, idle: at.idle + fills }
        expect(at.idle).toBe(size)
      }),
    )
  })
})

describe('refillDelayMs', () => {
  const setbacks = fc.integer({ min: 1, max: 2 ** 31 })
  const cause = fc.constantFrom('capacity' as const, 'failure' as const)
  const random = fc.double({ min: 0, max: 1, noNaN: true })

  it('is never short enough for a busy loop, and never longer than its cap', () => {
    fc.assert(
      fc.property(setbacks, cause, random, (n, why, jitter) => {
        const delay = refillDelayMs(n, why, jitter)
        expect(delay).toBeGreaterThanOrEqual(125)
        expect(delay).toBeLessThanOrEqual(why === 'capacity' ? 2_000 : 30_000)
      }),
    )
  })

  it('grows with setbacks in a row until the cap, whatever the jitter', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), random, random, (n, early, late) => {
        expect(refillDelayMs(n + 1, 'failure', late)).toBeGreaterThanOrEqual(refillDelayMs(n, 'failure', early))
      }),
    )
    expect(refillDelayMs(8, 'failure', 1)).toBe(30_000)
    expect(refillDelayMs(7, 'failure', 1)).toBe(16_000)
  })

  it('spreads pools that failed together over half of the delay', () => {
    expect([0, 0.5, 1].map((jitter) => refillDelayMs(3, 'failure', jitter))).toEqual([500, 750, 1_000])
  })

  it('asks a full host again sooner than one that fails', () => {
    expect(refillDelayMs(20, 'capacity', 0)).toBeLessThan(refillDelayMs(20, 'failure', 0))
  })
})
