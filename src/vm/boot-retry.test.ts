import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BOOT_TRIES, nextBootDelayMs } from './boot-retry.ts'

describe('nextBootDelayMs', () => {
  it('never tries again for a cause that cannot pass', () => {
    expect(nextBootDelayMs(1, false, 0.5)).toBeUndefined()
  })

  it('gives up after the last try', () => {
    expect(nextBootDelayMs(BOOT_TRIES - 1, true, 0)).toBeDefined()
    expect(nextBootDelayMs(BOOT_TRIES, true, 0)).toBeUndefined()
  })

  it('waits longer each time, within a jitter of half', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: BOOT_TRIES - 1 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (attempt, random) => {
          const delay = nextBootDelayMs(attempt, true, random) ?? Number.NaN
          expect(delay).toBeGreaterThanOrEqual(100 * 2 ** (attempt - 1))
          expect(delay).toBeLessThanOrEqual(200 * 2 ** (attempt - 1))
        },
      ),
    )
  })
})
