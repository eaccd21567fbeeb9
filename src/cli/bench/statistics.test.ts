import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { percentile, summarize } from './statistics.ts'

const series = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }), {
  minLength: 1,
  maxLength: 200,
})

describe('percentile (G10: nearest rank)', () => {
  it('gives the values of the usual worked example', () => {
    const values = [15, 20, 35, 40, 50]
    expect([5, 30, 40, 50, 100].map((percent) => percentile(values, percent))).toEqual([15, 20, 20, 35, 50])
  })

  it('takes rank 19 of 20 for 95 %, not the largest', () => {
    const values = Array.from({ length: 20 }, (_, index) => 20 - index)
    expect(percentile(values, 95)).toBe(19)
    expect(percentile(values, 96)).toBe(20)
  })

  it('sorts by size, not as text, and leaves its argument alone', () => {
    const values = [100, 9, 25]
    expect(percentile(values, 50)).toBe(25)
    expect(values).toEqual([100, 9, 25])
  })

  it('is the smallest measured value that at least so many per cent do not exceed', () => {
    fc.assert(
      fc.property(series, fc.integer({ min: 1, max: 100 }), (values, percent) => {
        const found = percentile(values, percent)
        expect(values).toContain(found)
        const atMost = values.filter((value) => value <= found).length
        const below = values.filter((value) => value < found).length
        expect(atMost * 100).toBeGreaterThanOrEqual(percent * values.length)
        expect(below * 100).toBeLessThan(percent * values.length)
      }),
    )
  })

  it('refuses what has no percentile', () => {
    expect(() => percentile([], 50)).toThrow(RangeError)
    expect(() => percentile([1, Number.NaN], 50)).toThrow(RangeError)
    expect(() => percentile([1], 101)).toThrow(RangeError)
  })
})

describe('summarize', () => {
  it('holds count, extremes, percentiles and mean', () => {
    expect(summarize([4, 1, 3, 2])).toEqual({ n: 4, min: 1, p50: 2, p95: 4, max: 4, mean: 2.5 })
  })
})
