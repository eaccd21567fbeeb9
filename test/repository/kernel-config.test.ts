import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseFragment } from '../../src/image/kernel-config.ts'
import { ABSENT_FEATURES } from '../vm/absent-features.ts'
import { ROOT } from './repository.ts'

const TEXT = readFileSync(join(ROOT, 'guest/image/kernel.config'), 'utf8')
const OPTIONS = parseFragment(TEXT)

// The build compares each line of the fragment with the final configuration and fails when one is missing: what is off here is
// off in every kernel that exists.
test('A11, A12: what the kernel is built without is what the tests look for, and nothing else', () => {
  const off = OPTIONS.filter(({ value }) => value === 'n').map(({ symbol }) => symbol)
  expect(off.toSorted()).toEqual(Object.keys(ABSENT_FEATURES).toSorted())
})

test('a feature that no program can see the lack of says why', () => {
  const silent = Object.entries(ABSENT_FEATURES).filter(
    ([, { shows, unseen }]) => (shows === undefined) === (unseen === undefined),
  )
  expect(silent).toEqual([])
})

test('every paragraph of options begins with its reason', () => {
  const unexplained = (text: string): string[] =>
    text
      .split(/\n\n+/)
      .filter((paragraph) => parseFragment(paragraph).length > 0 && !/^# (?!CONFIG_).*\w{4}/.test(paragraph.trim()))
  expect(unexplained(TEXT)).toEqual([])
  expect(unexplained('# Because of that.\nCONFIG_A=y\n\n# CONFIG_B is not set\n')).toEqual(['# CONFIG_B is not set\n'])
})
