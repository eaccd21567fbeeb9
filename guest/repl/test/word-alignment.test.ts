import fc from 'fast-check'
import { expect, test } from 'vitest'
import { alignWords } from '../javascript/word-alignment.ts'

test('words that one text lacks have no counterpart', () => {
  expect([...(alignWords(['a', 'number', 'b', 'c'], ['var', 'a', 'b', 'x', 'c']) ?? [])]).toEqual([-1, 0, 2, -1, 3])
})

test('equal texts are aligned word by word', () => {
  const words = Array.from({ length: 5_000 }, (_, index) => `w${index % 7}`)
  expect([...(alignWords(words, words) ?? [])]).toEqual(words.map((_, index) => index))
})

test('texts that differ too much are not aligned', () => {
  const other = (prefix: string) => Array.from({ length: 2_000 }, (_, index) => `${prefix}${index}`)
  expect(alignWords(other('a'), other('b'))).toBeUndefined()
})

test('an alignment joins equal words, in order, and as many as there can be', () => {
  const words = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 12 })
  fc.assert(
    fc.property(words, words, (source, printed) => {
      const pairs = [...(alignWords(source, printed) ?? [])].flatMap((from, to) => (from < 0 ? [] : [{ from, to }]))
      for (const { from, to } of pairs) expect(source[from]).toBe(printed[to])
      const froms = pairs.map(({ from }) => from)
      expect(froms).toEqual([...froms].sort((a, b) => a - b))
      expect(new Set(froms).size).toBe(froms.length)
      expect(pairs.length).toBe(longestCommonLength(source, printed))
    }),
  )
})

function longestCommonLength(a: readonly string[], b: readonly string[]): number {
  const table = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0))
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++)
      table[i]![j] = a[i - 1] === b[j - 1] ? table[i - 1]![j - 1]! + 1 : Math.max(table[i - 1]![j]!, table[i]![j - 1]!)
  return table[a.length]![b.length]!
}
