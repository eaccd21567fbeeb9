// @ts-check
import { judgeDrift, judgeEqual, judgeSlope } from './judge.mjs'

/** Bytes that one execution may leave for good: less than the smallest object that could leak by one each, a listener or a timer. */
const HEAP = { perExecution: 300, noise: 1_500_000 }
/** Resident memory moves by pages, and the allocator keeps what one execution needed. */
const RSS = { perExecution: 3_000, noise: 24_000_000 }
/** Measured beside a process of the host, so that a busy machine slows both. */
const MOST_DRIFT = 1.5

/**
 * The verdicts over all samples, the text for people, and what is wrong.
 * @param {import('./soak.mjs').SoakRecord} record
 */
export function reportOf(record) {
  const { samples } = record
  const violations = [...record.failures]
  /** @type {import('./judge.mjs').Verdict[]} */
  const verdicts = []
  if (samples.length < 3) violations.push(`only ${samples.length} samples: too short to judge`)
  else {
    const series = (/** @type {(sample: import('./soak.mjs').Sample) => number} */ value) =>
      samples.map((sample) => ({ at: sample.executions, value: value(sample) }))
    verdicts.push(judgeSlope('heap', series(({ heap }) => heap), HEAP))
    verdicts.push(judgeSlope('rss', series(({ rss }) => rss), RSS))
    for (const name of Object.keys(samples[0]?.counts ?? {})) {
      verdicts.push(judgeEqual(name, series(({ counts }) => counts[name] ?? Number.NaN)))
    }
    verdicts.push(judgeDrift('latency', series(({ latency }) => latency), MOST_DRIFT))
  }
  for (const { name, violation } of verdicts) if (violation !== undefined) violations.push(`${name} ${violation}`)
  return { violations, verdicts, text: textOf(record, verdicts, violations) }
}

/**
 * @param {import('./soak.mjs').SoakRecord} record
 * @param {readonly import('./judge.mjs').Verdict[]} verdicts
 * @param {readonly string[]} violations
 */
function textOf({ executions, seconds, seed, operations, outcomes }, verdicts, violations) {
  const counts = (/** @type {Readonly<Record<string, number>>} */ table) =>
    Object.entries(table)
      .toSorted(([, a], [, b]) => b - a)
      .map(([name, count]) => `  ${String(count).padStart(7)}  ${name}`)
  const measures = verdicts.map(
    ({ name, first, last, growth, violation }) =>
      `  ${violation === undefined ? 'flat' : 'NOT FLAT'}  ${name}: ${round(first)} → ${round(last)} (${growth})`,
  )
  return [
    '',
    `${executions} executions in ${Math.round(seconds)} s, seed ${seed}`,
    'operations',
    ...counts(operations),
    'outcomes',
    ...counts(outcomes),
    'measures',
    ...measures,
    violations.length === 0 ? 'nothing drifts' : `${violations.length} violations`,
    ...violations.map((line) => `  ${line}`),
    '',
  ].join('\n')
}

/** @param {number} value */
function round(value) {
  return Number.isInteger(value) ? value : value.toFixed(2)
}
