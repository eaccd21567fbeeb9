import { describe, expect, it } from 'vitest'
import { percentile } from '../../src/cli/bench/statistics.ts'
import { judgeDrift, judgeEqual, judgeSlope, slopeOf } from './judge.mjs'
import { OPERATIONS, pick, randomOf } from './operations.mjs'
import { reportOf } from './report.mjs'

/** Noise that is the same in every run. */
const random = randomOf(7)
const MB = 1_000_000
const HEAP = { perExecution: 300, noise: 1.5 * MB }

function series(value: (at: number) => number): readonly { readonly at: number; readonly value: number }[] {
  return Array.from({ length: 40 }, (_, index) => ({ at: index * 250, value: value(index * 250) }))
}

const flat = series(() => 20 * MB + (random() - 0.5) * 4 * MB)

function recordOf(change: (index: number) => Readonly<Record<string, number>>) {
  const samples = Array.from({ length: 6 }, (_, index) => ({
    executions: index * 100,
    heap: 20 * MB,
    rss: 90 * MB,
    latency: 2,
    counts: { files: 20, processes: 2, ...change(index) },
  }))
  return { executions: 500, seconds: 60, seed: 1, operations: {}, outcomes: {}, failures: [], samples }
}

describe('the judge of a soak', () => {
  it('takes what moves up and down for flat', () => {
    expect(judgeSlope('heap', flat, HEAP).violation).toBeUndefined()
  })

  it('does not mind a few wild samples', () => {
    const wild = flat.map((point, index) => (index % 8 === 7 ? { ...point, value: point.value + 80 * MB } : point))
    expect(judgeSlope('heap', wild, HEAP).violation).toBeUndefined()
  })

  it('finds 600 bytes per execution in two megabytes of noise', () => {
    const leak = flat.map((point) => ({ ...point, value: point.value + 600 * point.at }))
    expect(slopeOf(leak)).toBeGreaterThan(450)
    expect(judgeSlope('heap', leak, HEAP).violation).toContain('grows by')
  })

  it('finds one descriptor more at one idle point', () => {
    const points = series((at) => (at === 5_000 ? 21 : 20))
    expect(judgeEqual('files', points).violation).toBe('was 20, and 21 after 5000 executions')
    expect(
      judgeEqual(
        'files',
        series(() => 20),
      ).violation,
    ).toBeUndefined()
  })

  it('compares latency by medians of thirds', () => {
    const noisy = series(() => 2 + random())
    expect(judgeDrift('latency', noisy, 1.5).violation).toBeUndefined()
    const slower = series((at) => (2 + random()) * (1 + at / 10_000))
    expect(judgeDrift('latency', slower, 1.5).violation).toContain('drifts by')
  })

  it('refuses to judge two samples', () => {
    expect(() => judgeEqual('files', flat.slice(0, 2))).toThrow(RangeError)
    const record = recordOf(() => ({}))
    expect(reportOf({ ...record, samples: record.samples.slice(0, 2) }).violations).toHaveLength(1)
  })

  it('names the measure that is not flat, and what failed', () => {
    expect(reportOf(recordOf(() => ({}))).violations).toEqual([])
    const { violations, text } = reportOf(recordOf((index) => ({ files: 20 + index })))
    expect(violations).toEqual(['files was 20, and 21 after 100 executions'])
    expect(text).toContain('NOT FLAT  files: 20 → 25')
    expect(reportOf({ ...recordOf(() => ({})), failures: ['operation 3'] }).violations).toEqual(['operation 3'])
  })
})

describe('the choice of operations', () => {
  it('is the same for a seed, and another for another', () => {
    const names = (seed: number) => {
      const next = randomOf(seed)
      return Array.from({ length: 50 }, () => pick(next()).name)
    }
    expect(names(1)).toEqual(names(1))
    expect(names(1)).not.toEqual(names(2))
  })

  it('takes every operation, the heavy ones most', () => {
    const next = randomOf(1)
    const names = Array.from({ length: 5_000 }, () => pick(next()).name)
    expect(new Set(names).size).toBe(OPERATIONS.length)
    const counts = OPERATIONS.map(({ name }) => names.filter((other) => other === name).length)
    expect(counts[0]).toBe(percentile(counts, 100))
  })
})
