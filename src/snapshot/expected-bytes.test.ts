import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { expectedBytes } from './expected-bytes.ts'

describe('expectedBytes', () => {
  it('grows with the memory and never passes it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 65_536 }), (memoryMb) => {
        expect(expectedBytes(memoryMb)).toBeLessThanOrEqual(memoryMb * 2 ** 20)
        expect(expectedBytes(memoryMb)).toBeLessThanOrEqual(expectedBytes(memoryMb + 1))
      }),
    )
  })
})
