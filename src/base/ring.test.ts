import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TextRing } from './ring.ts'

describe('TextRing', () => {
  it('keeps exactly the last bytes, however they came', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.stringMatching(/^[a-z]{0,30}$/), { maxLength: 20 }),
        (limit, pieces) => {
          const ring = new TextRing(limit)
          for (const piece of pieces) ring.push(Buffer.from(piece))
          expect(ring.text()).toBe(pieces.join('').slice(-limit))
        },
      ),
    )
  })
})
