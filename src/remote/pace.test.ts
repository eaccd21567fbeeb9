import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { bookBytes, bookEnd, bookPause, judgePace, type Pace, type PaceLimits, startPace } from './pace.ts'

const LIMITS: PaceLimits = { silenceMs: 1_000, windowMs: 5_000, windowBytes: 50_000, overallMs: 60_000 }

/** Ticks once a second, so many bytes before each; says at which second it was too slow, and why. */
function run(bytesPerSecond: readonly number[], limits = LIMITS): string | undefined {
  let pace: Pace = startPace(0)
  for (const [index, bytes] of bytesPerSecond.entries()) {
    const now = (index + 1) * 1_000
    if (bytes > 0) pace = bookBytes(pace, bytes, now - 1)
    const judged = judgePace(pace, limits, now)
    if (judged.tooSlow !== undefined) return `${now / 1000} s: ${judged.tooSlow}`
    pace = judged.pace
  }
  return undefined
}

test('a transfer above the floor may take all the time there is, and no more', () => {
  const steady = Array.from({ length: 59 }, () => 20_000)
  expect(run(steady)).toBeUndefined()
  expect(run([...steady, 20_000])).toBe('60 s: not done after 60 s')
})

test('silence ends it, before the first byte and after any', () => {
  expect(run([0])).toBe('1 s: silent for 1 s')
  expect(run([9_999, 9_999, 0, 0])).toBe('3 s: silent for 1 s')
})

test('a byte a second is not silence, but too little', () => {
  expect(run(Array.from({ length: 20 }, () => 1))).toMatch(/^6 s: 6 bytes in 5 s/)
})

test('nothing is expected of the store between two directions, nor while we work ourselves', () => {
  const moved = bookBytes(startPace(0), 1, 10)
  expect(judgePace(bookEnd(moved, 20), { ...LIMITS, silenceMs: 9_000 }, 8_000).tooSlow).toBeUndefined()
  expect(judgePace(bookPause(moved), LIMITS, 59_999).tooSlow).toBeUndefined()
  expect(judgePace(bookPause(moved), LIMITS, 60_000).tooSlow).toMatch(/not done/)
  expect(judgePace(bookEnd(bookPause(moved), 30_000), LIMITS, 31_000).tooSlow).toMatch(/silent/)
})

test('whatever the store does, it is given up within the overall time, and never while it is fast enough', () => {
  const second = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 30_000 }))
  fc.assert(
    fc.property(fc.array(second, { minLength: 60, maxLength: 60 }), (seconds) => {
      expect(run(seconds)).toBeDefined()
      const fast = seconds.slice(0, 59).map((bytes) => bytes + 10_001)
      expect(run(fast)).toBeUndefined()
    }),
  )
})

test('a tick that comes late expects as much more', () => {
  const pace = bookBytes(startPace(0), 60_000, 1)
  const limits = { ...LIMITS, silenceMs: 30_000 }
  expect(judgePace(pace, limits, 5_500).tooSlow).toBeUndefined()
  expect(judgePace(pace, limits, 10_001).tooSlow).toMatch(/60000 bytes in 10 s/)
})
