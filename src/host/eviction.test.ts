import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chooseEvictions, type EvictionCandidate, inOrderOfEviction } from './eviction.ts'

const candidate = fc.record({
  key: fc.stringMatching(/^[0-9a-f]{6}$/),
  bytes: fc.nat(1_000),
  lastUsedAt: fc.nat(50),
  useless: fc.boolean(),
})
const candidates = fc.uniqueArray(candidate, { selector: ({ key }) => key, maxLength: 12 })
const total = (list: readonly EvictionCandidate[]): number => list.reduce((sum, { bytes }) => sum + bytes, 0)

describe('chooseEvictions', () => {
  it('leaves no more than the limit, but for the one that stays in any case', () => {
    fc.assert(
      fc.property(candidates, fc.nat(6_000), (list, limitBytes) => {
        const keep = list[0]?.key
        const chosen = chooseEvictions(list, { limitBytes, keep })
        const rest = list.filter((entry) => !chosen.includes(entry))
        expect(chosen.map(({ key }) => key)).not.toContain(keep)
        expect(total(rest) <= limitBytes || rest.every(({ key }) => key === keep)).toBe(true)
      }),
    )
  })

  it('evicts none too many: without the last one chosen the limit would be passed', () => {
    fc.assert(
      fc.property(candidates, fc.nat(6_000), (list, limitBytes) => {
        const chosen = chooseEvictions(list, { limitBytes })
        const last = chosen.at(-1)
        expect(last === undefined || total(list) - total(chosen) + last.bytes > limitBytes).toBe(true)
      }),
    )
  })

  it('evicts in one order, whatever order it is told them in: useless ones, then those used least recently', () => {
    fc.assert(
      fc.property(candidates, fc.nat(6_000), (list, limitBytes) => {
        const chosen = chooseEvictions(list, { limitBytes })
        expect(chooseEvictions(list.toReversed(), { limitBytes })).toEqual(chosen)
        expect(inOrderOfEviction(list).slice(0, chosen.length)).toEqual(chosen)
        for (const stays of list.filter((entry) => !chosen.includes(entry))) {
          for (const goes of chosen) {
            expect(stays.useless && !goes.useless).toBe(false)
            if (stays.useless === goes.useless) expect(goes.lastUsedAt).toBeLessThanOrEqual(stays.lastUsedAt)
          }
        }
      }),
    )
  })
})
