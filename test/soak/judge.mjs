// @ts-check
// Pure: what is flat and what is not. Series are pairs of how many executions there had been, and what was measured then.
import { percentile } from '../../dist/cli/bench/statistics.js'

/** @typedef {{ readonly at: number, readonly value: number }} Point */
/** @typedef {{ readonly name: string, readonly first: number, readonly last: number, readonly growth: string, readonly violation: string | undefined }} Verdict */

/** A median of fewer than three is one sample's word. */
const FEWEST_FOR_DRIFT = 9

/**
 * The Theil–Sen slope: the median of the slopes of all pairs of points. Less than 29 per cent of outliers do not move it.
 * @param {readonly Point[]} points
 */
export function slopeOf(points) {
  const slopes = points.flatMap((a, index) =>
    points
      .slice(index + 1)
      .filter((b) => b.at !== a.at)
      .map((b) => (b.value - a.value) / (b.at - a.at)),
  )
  return slopes.length === 0 ? 0 : percentile(slopes, 50)
}

/**
 * What moves by itself (memory): its slope may not exceed a bound, unless all of the growth is less than what such a measure
 * moves by without a leak.
 * @param {string} name
 * @param {readonly Point[]} points
 * @param {{ readonly perExecution: number, readonly noise: number }} bound
 * @returns {Verdict}
 */
export function judgeSlope(name, points, { perExecution, noise }) {
  const { first, last } = ends(name, points)
  const slope = slopeOf(points)
  const grown = slope * (last.at - first.at)
  const growth = `${slope.toFixed(1)} per execution, at most ${perExecution}`
  const isLeak = slope > perExecution && grown > noise
  return { name, first: first.value, last: last.value, growth, violation: isLeak ? `grows by ${growth}` : undefined }
}

/**
 * What is counted: the same at every idle point.
 * @param {string} name
 * @param {readonly Point[]} points
 * @returns {Verdict}
 */
export function judgeEqual(name, points) {
  const { first, last } = ends(name, points)
  const other = points.find(({ value }) => value !== first.value)
  const violation =
    other === undefined ? undefined : `was ${first.value}, and ${other.value} after ${other.at} executions`
  return { name, first: first.value, last: last.value, growth: 'always equal', violation }
}

/**
 * Latency as a multiple of a reference measured beside it: the median of the last third over that of the first.
 * @param {string} name
 * @param {readonly Point[]} points
 * @param {number} most
 * @returns {Verdict}
 */
export function judgeDrift(name, points, most) {
  const { first: begin, last: end } = ends(name, points)
  if (points.length < FEWEST_FOR_DRIFT) {
    const growth = `not judged: that takes ${FEWEST_FOR_DRIFT} samples`
    return { name, first: begin.value, last: end.value, growth, violation: undefined }
  }
  const third = Math.max(1, Math.floor(points.length / 3))
  const median = (/** @type {readonly Point[]} */ part) =>
    percentile(
      part.map(({ value }) => value),
      50,
    )
  const [first, last] = [median(points.slice(0, third)), median(points.slice(-third))]
  const growth = `×${(last / first).toFixed(2)}, at most ×${most}`
  return { name, first, last, growth, violation: last / first > most ? `drifts by ${growth}` : undefined }
}

/**
 * @param {string} name
 * @param {readonly Point[]} points
 */
function ends(name, points) {
  const [first] = points
  const last = points.at(-1)
  if (first === undefined || last === undefined || points.length < 3) {
    throw new RangeError(`${name}: three samples are needed to judge, got ${points.length}`)
  }
  return { first, last }
}
