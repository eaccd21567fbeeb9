/** What a table and a plot show of a series; the series itself stays in the report. */
export interface Summary {
  readonly n: number
  readonly min: number
  readonly p50: number
  readonly p95: number
  readonly max: number
  readonly mean: number
}

/**
 * Nearest-rank percentile: the smallest value of the series that at least `percent` per cent of it do not exceed. Always a
 * value that was measured, never one interpolated between two.
 * @param percent 0–100; 0 gives the smallest value
 * @throws RangeError for an empty series, for values that are no numbers, and for a percentage out of range
 */
export function percentile(values: readonly number[], percent: number): number {
  if (!(percent >= 0 && percent <= 100)) throw new RangeError(`a percentage lies in 0–100, got ${percent}`)
  if (values.some((value) => Number.isNaN(value))) throw new RangeError('a series holds numbers only, got NaN')
  const sorted = values.toSorted((a, b) => a - b)
  // Multiplied first: 0.95 × 20 is 19.000000000000004 in binary, which would round up to the next rank.
  const rank = Math.max(1, Math.ceil((percent * sorted.length) / 100))
  const value = sorted[rank - 1]
  if (value === undefined) throw new RangeError('a percentile needs at least one value')
  return value
}

/** @throws RangeError for an empty series */
export function summarize(values: readonly number[]): Summary {
  return {
    n: values.length,
    min: percentile(values, 0),
    p50: percentile(values, 50),
    p95: percentile(values, 95),
    max: percentile(values, 100),
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
  }
}
