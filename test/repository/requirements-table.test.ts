import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { proofsOf, type Row, rowsOf } from '../../scripts/security/requirements-table.mjs'
import { repositoryFiles, ROOT } from './repository.ts'
import { REQUIREMENT_IDS } from './requirement-ids.ts'

/** What is wrong with a row's proof, or nothing. `titlesOf` gives the names of the tests in a file. */
function fault(row: Row, titlesOf: (path: string) => readonly string[] | undefined): string[] {
  const { id, state, proof } = row
  if (state === 'not yet') return proof === '' ? [] : [`${id}: "not yet" and yet a proof`]
  if (state !== 'done') return [`${id}: unknown state "${state}"`]
  if (proof === '') return [`${id}: "done" and yet no proof`]
  return proofsOf(row).flatMap(({ text, path, title }) => {
    if (path === undefined || title === undefined) return [`${id}: not a proof: ${text}`]
    const titles = titlesOf(path)
    if (titles === undefined) return [`${id}: no such test file: ${path}`]
    return titles.includes(title) ? [] : [`${id}: no test named "${title}" in ${path}`]
  })
}

/** `test('…'`, `it("…"`, also with `.each(…)` or `.for(…)` between; the name is taken as it is written. */
const TYPESCRIPT_TEST =
  /\b(?:test|it)(?:\.concurrent)?(?:\.(?:each|for)(?:<[^()]*>)?\([\s\S]*?\))?\(\s*(?:'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)"|`([^`]*)`)/g
const RUST_TEST = /#\[test\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn (\w+)/g
const PYTHON_TEST = /^\s*(?:async )?def (test\w*)\(/gm

function titlesIn(path: string): string[] | undefined {
  if (!existsSync(join(ROOT, path))) return undefined
  const pattern = path.endsWith('.rs') ? RUST_TEST : path.endsWith('.py') ? PYTHON_TEST : TYPESCRIPT_TEST
  return [...readFileSync(join(ROOT, path), 'utf8').matchAll(pattern)].map((match) =>
    (match[1] ?? match[2] ?? match[3] ?? '').replace(/\\(.)/g, '$1'),
  )
}

const ROWS = rowsOf(readFileSync(join(ROOT, 'docs/requirements.md'), 'utf8'))

test('every requirement has exactly one row, in order', () => {
  expect(ROWS.map(({ id }) => id)).toEqual(REQUIREMENT_IDS)
})

test('every requirement that is done names a test that exists', () => {
  expect(ROWS.flatMap((row) => fault(row, titlesIn))).toEqual([])
})

test('a proof that is missing, misspelt or left over is found', () => {
  const titles = new Map([['test/a.test.ts', ['holds; "always"', 'also']]])
  const row = (state: string, proof: string) => fault({ id: 'A01', state, proof }, (path) => titles.get(path))
  expect(row('done', 'test/a.test.ts › "also"')).toEqual([])
  expect(row('done', 'test/a.test.ts › "holds; "always""; test/a.test.ts › "also"')).toEqual([])
  expect(row('done', '')).toHaveLength(1)
  expect(row('done', 'test/a.test.ts › "never"')).toHaveLength(1)
  expect(row('done', 'test/b.test.ts › "also"')).toHaveLength(1)
  expect(row('not yet', 'test/a.test.ts › "also"')).toHaveLength(1)
  expect(row('nearly', '')).toHaveLength(1)
})

/** Requirements cited in a test's name, e.g. "A05: user processes …", are requirements that exist. */
test('tests cite only requirements that exist', () => {
  const cited = repositoryFiles()
    .filter((path) => path.endsWith('.test.ts'))
    .flatMap((path) => (titlesIn(path) ?? []).flatMap((title) => /^([A-G]\d\d)\b/.exec(title)?.[1] ?? []))
  expect(cited.filter((id) => !REQUIREMENT_IDS.includes(id))).toEqual([])
})
