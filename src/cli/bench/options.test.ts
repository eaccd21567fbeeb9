import { describe, expect, it } from 'vitest'
import { selectBench } from './options.ts'
import type { Scenario } from './scenario.ts'

const scenario = (name: string): Scenario => ({
  name,
  title: name,
  rounds: { full: 20, quick: 5 },
  languages: 'each',
  run: async () => await Promise.resolve(),
})
const ALL = [scenario('first'), scenario('second'), scenario('third')]
const namesOf = (flags: Parameters<typeof selectBench>[0]): string[] =>
  selectBench(flags, ALL).scenarios.map(({ name }) => name)

describe('selectBench', () => {
  it('measures everything in every language unless told otherwise', () => {
    const selection = selectBench({}, ALL)
    expect(selection.scenarios).toEqual(ALL)
    expect(selection.languages).toEqual(['python', 'javascript', 'bash'])
    expect(ALL.map(selection.roundsOf)).toEqual([20, 20, 20])
  })

  it('takes names with commas and spaces, keeps the order of the benchmark, and each once', () => {
    expect(namesOf({ scenario: 'third, first,third' })).toEqual(['first', 'third'])
    expect(selectBench({ language: 'js,py,node' }, ALL).languages).toEqual(['javascript', 'python'])
  })

  it('is quick in one language, unless others are named', () => {
    const quick = selectBench({ quick: true }, ALL)
    expect(quick.languages).toEqual(['python'])
    expect(ALL.map(quick.roundsOf)).toEqual([5, 5, 5])
    expect(selectBench({ quick: true, language: 'bash,js' }, ALL).languages).toEqual(['bash', 'javascript'])
  })

  it('leaves out what is not quick, unless it is named', () => {
    const slow: Scenario = { ...scenario('slow'), rounds: { full: 1, quick: 0 } }
    const all = [...ALL, slow]
    expect(selectBench({}, all).scenarios).toEqual(all)
    expect(selectBench({ quick: true }, all).scenarios).toEqual(ALL)
    const named = selectBench({ quick: true, scenario: 'slow' }, all)
    expect(named.scenarios).toEqual([slow])
    expect(named.roundsOf(slow)).toBe(1)
  })

  it("takes the user's rounds before its own", () => {
    expect(ALL.map(selectBench({ rounds: '3', quick: true }, ALL).roundsOf)).toEqual([3, 3, 3])
  })

  it.each([
    [{ scenario: 'first,fourth' }, 'scenario', /first, second, third, got "fourth"/],
    [{ rounds: '0' }, 'rounds', /1–1000, got "0"/],
    [{ rounds: '1e3' }, 'rounds', /got "1e3"/],
    [{ rounds: '1001' }, 'rounds', /got "1001"/],
    [{ language: 'cobol' }, 'language', /got "cobol"/],
  ])('refuses %j', (flags, field, message) => {
    expect(() => selectBench(flags, ALL)).toThrow(
      expect.objectContaining({
        code: 'INVALID_INPUT',
        details: { field },
        message: expect.stringMatching(message) as string,
      }),
    )
  })
})
