import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TokenBucket } from './token-bucket.ts'

test('never lets through more than its burst and its rate, nor less', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 50 }),
      fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 200 }),
      (burst, perSecond, pausesMs) => {
        let nowMs = 0
        const bucket = new TokenBucket({ burst, perSecond, nowMs: () => nowMs })
        let taken = 0
        let model = burst
        for (const pauseMs of pausesMs) {
          nowMs += pauseMs
          model = Math.min(burst, model + (pauseMs * perSecond) / 1_000)
          const got = bucket.take()
          // A thousandth of a token either way is rounding.
          if (model >= 1.001) expect(got).toBe(true)
          if (model < 0.999) expect(got).toBe(false)
          if (got) {
            taken += 1
            model -= 1
          }
        }
        expect(taken).toBeLessThanOrEqual(burst + (nowMs * perSecond) / 1_000 + 0.001)
      },
    ),
  )
})

test('a clock that goes back earns nothing and loses nothing', () => {
  let nowMs = 1_000
  const bucket = new TokenBucket({ burst: 2, perSecond: 1, nowMs: () => nowMs })
  bucket.take()
  nowMs = 0
  expect([bucket.take(), bucket.take()]).toEqual([true, false])
})
