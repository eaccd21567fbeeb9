import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { proofsOf } from '../../scripts/security/requirements-table.mjs'
import { ROOT } from './repository.ts'

const DOCUMENT = readFileSync(join(ROOT, 'docs/guest-values.md'), 'utf8')

/** Rows of the document's tables: value, where it is read, what bounds it, its tests. */
function rowsOf(markdown: string): readonly (readonly string[])[] {
  return markdown
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| value '))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
}

/** What is wrong with a row, or nothing. `textOf` gives the content of a file. */
function faults(row: readonly string[], textOf: (path: string) => string | undefined): string[] {
  const [value = '', place = '', bound = '', proof = ''] = row
  if (row.length !== 4 || [value, place, bound, proof].includes('')) return [`${value}: an empty cell, or one too many`]
  const source = /^`([^`]+)`$/.exec(place)?.[1] ?? ''
  const missing = textOf(source) === undefined ? [`${value}: no such file: ${place}`] : []
  const unproven = proofsOf({ id: '', state: '', proof }).flatMap(({ text, path = '', title = '' }) => {
    const found = title !== '' && textOf(path)?.includes(title) === true
    return found ? [] : [`${value}: no such test: ${text}`]
  })
  return [...missing, ...unproven]
}

function read(path: string): string | undefined {
  const full = join(ROOT, path)
  return path !== '' && existsSync(full) ? readFileSync(full, 'utf8') : undefined
}

test('B06: every value that a guest chooses is read where the document says, and has its test', () => {
  const rows = rowsOf(DOCUMENT)
  expect(rows.length).toBeGreaterThan(20)
  expect(rows.flatMap((row) => faults(row, read))).toEqual([])
})

test('a row without its file, its bound or its test is found', () => {
  const files = new Map([
    ['src/a.ts', ''],
    ['src/a.test.ts', "it('is bounded')"],
  ])
  const check = (line: string): string[] => rowsOf(line).flatMap((row) => faults(row, (path) => files.get(path)))
  expect(check('| size | `src/a.ts` | 1 MiB | src/a.test.ts › "is bounded" |')).toEqual([])
  expect(check('| size | `src/b.ts` | 1 MiB | src/a.test.ts › "is bounded" |')).toHaveLength(1)
  expect(check('| size | `src/a.ts` |  | src/a.test.ts › "is bounded" |')).toHaveLength(1)
  expect(check('| size | `src/a.ts` | 1 MiB | src/a.test.ts › "is free" |')).toHaveLength(1)
  expect(check('| size | `src/a.ts` | 1 MiB | a test |')).toHaveLength(1)
})
