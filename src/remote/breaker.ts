/**
 * Leaves a store alone that keeps failing: after `FAILURES` in a row nobody asks it for `PAUSE_MS`, then one caller tries,
 * and its outcome decides for all. Pure.
 */
export interface Breaker {
  /** Failures since the store last answered. */
  readonly failures: number
  /** Until then the store is left alone; undefined while it is in use. */
  readonly openUntilMs: number | undefined
  /** Somebody is trying whether it is back. */
  readonly trying: boolean
}

/** Failures in a row after which a store is left alone: one may be an accident of the network. */
export const FAILURES = 3
/** Milliseconds for which it is left alone. */
export const PAUSE_MS = 60_000

export const CLOSED_BREAKER: Breaker = { failures: 0, openUntilMs: undefined, trying: false }

/** Whether the store may be asked now. Whoever enters reports what became of it. */
export function enter(breaker: Breaker, nowMs: number): { readonly admitted: boolean; readonly breaker: Breaker } {
  if (breaker.openUntilMs === undefined) return { admitted: true, breaker }
  if (breaker.trying || nowMs < breaker.openUntilMs) return { admitted: false, breaker }
  return { admitted: true, breaker: { ...breaker, trying: true } }
}

/** `abandoned`: the caller gave up, which says nothing about the store. */
export type Outcome = 'answered' | 'failed' | 'abandoned'

export function report(breaker: Breaker, outcome: Outcome, nowMs: number): Breaker {
  if (outcome === 'answered') return CLOSED_BREAKER
  if (outcome === 'abandoned') return { ...breaker, trying: false }
  const failures = Math.min(breaker.failures + 1, FAILURES)
  const openUntilMs = failures >= FAILURES ? nowMs + PAUSE_MS : undefined
  return { failures, openUntilMs, trying: false }
}
