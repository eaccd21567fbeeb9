import { throwIfAborted, withDeadline } from '../../base/index.ts'
import type { Recorder, Sample, SeriesKey } from './recorder.ts'

/** One of those that are measured side by side. */
export interface Contestant {
  readonly key: SeriesKey
  /** Takes one measurement. */
  readonly measure: () => Promise<Sample>
  /** @default those of the scenario */
  readonly rounds?: number
}

export interface Turns {
  readonly rounds: number
  readonly recorder: Recorder
  readonly signal: AbortSignal
}

/** Milliseconds that one measurement may take before its contestant is out; the longest is a burst of a hundred. */
const MEASUREMENT_LIMIT_MS = 240_000

/**
 * Lets contestants take turns, so that a noisy machine hurts all of them alike; who begins changes from round to round.
 * One that fails is out and told in the report; the others go on.
 */
export async function takeTurns(contestants: readonly Contestant[], turns: Turns): Promise<void> {
  const { recorder, signal } = turns
  const playing = new Set(contestants)
  const most = Math.max(turns.rounds, ...contestants.map(({ rounds = 0 }) => rounds))
  for (let round = 0; round < most; round += 1) {
    for (const contestant of rotated([...playing], round)) {
      if (round >= (contestant.rounds ?? turns.rounds)) continue
      throwIfAborted(signal)
      try {
        recorder.add(contestant.key, await inTime(contestant, signal))
      } catch (error) {
        throwIfAborted(signal)
        playing.delete(contestant)
        recorder.fail(describeSeries(contestant.key), error instanceof Error ? error.message : String(error))
      }
    }
  }
}

/** Begins with another one each round. Pure. */
export function rotated<T>(items: readonly T[], round: number): readonly T[] {
  const start = items.length === 0 ? 0 : round % items.length
  return [...items.slice(start), ...items.slice(0, start)]
}

export function describeSeries({ scenario, language, name }: SeriesKey): string {
  return `${scenario}, ${language}: ${name}`
}

async function inTime(contestant: Contestant, signal: AbortSignal): Promise<Sample> {
  return await withDeadline(contestant.measure(), {
    timeoutMs: MEASUREMENT_LIMIT_MS,
    signal,
    onTimeout: () => new Error(`not done within ${MEASUREMENT_LIMIT_MS / 1000} s`),
  })
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}
