import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Breaker, CLOSED_BREAKER, enter, FAILURES, type Outcome, PAUSE_MS, report } from './breaker.ts'

const step = fc.record({
  waitMs: fc.integer({ min: 0, max: PAUSE_MS }),
  outcome: fc.constantFrom<Outcome>('answered', 'failed', 'abandoned'),
})

/** A plain model for callers that come one after the other: the time and a count say everything. */
test('one caller after the other is admitted exactly when the store has not failed too often, or long enough ago', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let breaker: Breaker = CLOSED_BREAKER
      let now = 0
      let failuresInARow = 0
      let lastFailureAt = -Infinity
      for (const { waitMs, outcome } of steps) {
        now += waitMs
        const entered = enter(breaker, now)
        breaker = entered.breaker
        expect(entered.admitted).toBe(failuresInARow < FAILURES || now - lastFailureAt >= PAUSE_MS)
        if (!entered.admitted) continue
        breaker = report(breaker, outcome, now)
        if (outcome === 'answered') failuresInARow = 0
        if (outcome === 'failed') {
          failuresInARow += 1
          lastFailureAt = now
        }
      }
    }),
    { numRuns: 2_000 },
  )
})

function open(): Breaker {
  let breaker: Breaker = CLOSED_BREAKER
  for (let count = 0; count < FAILURES; count += 1) breaker = report(breaker, 'failed', 0)
  return breaker
}

test('after the pause one caller tries and the others wait for what becomes of it', () => {
  const trial = enter(open(), PAUSE_MS)
  expect(trial.admitted).toBe(true)
  expect(enter(trial.breaker, PAUSE_MS).admitted).toBe(false)
  expect(enter(trial.breaker, 10 * PAUSE_MS).admitted).toBe(false)
  expect(enter(report(trial.breaker, 'answered', PAUSE_MS), PAUSE_MS).admitted).toBe(true)
  const failed = report(trial.breaker, 'failed', PAUSE_MS)
  expect(enter(failed, 2 * PAUSE_MS - 1).admitted).toBe(false)
  expect(enter(failed, 2 * PAUSE_MS).admitted).toBe(true)
})

test('who gives up while trying leaves the trial to the next', () => {
  const trial = enter(open(), PAUSE_MS)
  expect(enter(report(trial.breaker, 'abandoned', PAUSE_MS), PAUSE_MS).admitted).toBe(true)
})

test('callers that were admitted together do not lengthen the count beyond what it takes', () => {
  const breaker = report(open(), 'failed', 5)
  expect(breaker.failures).toBe(FAILURES)
  expect(report(breaker, 'answered', 6)).toEqual(CLOSED_BREAKER)
})
