/** Maps values of a panel to the width of its axis. */
export interface Scale {
  readonly kind: 'linear' | 'log'
  /** 0–1 along the axis, cut off at both ends. */
  readonly at: (value: number) => number
  readonly ticks: readonly number[]
}

/** Values that lie further apart than this are shown on a logarithmic axis: the small ones would be no bars at all. */
const LOG_FROM = 12

/** A scale that holds all values; none may be negative. Pure. */
export function chooseScale(values: readonly number[]): Scale {
  const most = Math.max(...values, 1e-3)
  const least = Math.min(...values.filter((value) => value > 0), most)
  return most / least > LOG_FROM ? logScale(least, most) : linearScale(most)
}

function linearScale(most: number): Scale {
  const step = niceStep(most / 4)
  const end = Math.ceil(most / step) * step
  const ticks = Array.from({ length: Math.round(end / step) + 1 }, (_, index) => Number((index * step).toPrecision(6)))
  return { kind: 'linear', at: (value) => clamp(value / end), ticks }
}

// From the power of ten below the smallest value, so that its bar can be seen, to the 1, 2 or 5 above the largest.
function logScale(least: number, most: number): Scale {
  const from = Math.floor(Math.log10(least * 0.75))
  const end = niceStep(most)
  const to = Math.log10(end)
  const ticks: number[] = []
  for (let power = from; power <= to; power += 1) ticks.push(Number((10 ** power).toPrecision(6)))
  return { kind: 'log', at: (value) => (value <= 0 ? 0 : clamp((Math.log10(value) - from) / (to - from))), ticks }
}

/** The smallest of 1, 2, 5 × 10ⁿ that is not below `value`. */
function niceStep(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  const step = [1, 2, 5, 10].find((factor) => factor * power >= value * (1 - 1e-9)) ?? 10
  return step * power
}

function clamp(share: number): number {
  return Math.min(1, Math.max(0, share))
}
