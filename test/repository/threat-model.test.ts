import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { REQUIREMENT_IDS } from './requirement-ids.ts'
import { ROOT } from './repository.ts'

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

const MODEL = read('docs/threat-model.md')
const STATES = new Map(
  [...read('docs/requirements.md').matchAll(/^\| *([A-G]\d\d) *\| *(done|not yet) *\|/gm)].map((row) => [
    row[1],
    row[2],
  ]),
)

/** Requirements that a text cites, each with whether it says that they are not proven. */
function citations(text: string): { id: string; unproven: boolean }[] {
  return [...text.matchAll(/\b([A-G]\d\d)\b( \(not yet\))?/g)].map(([, id = '', mark]) => {
    return { id, unproven: mark !== undefined }
  })
}

test('the threat model speaks of every row of A and B', () => {
  const cited = new Set(citations(MODEL).map(({ id }) => id))
  expect(REQUIREMENT_IDS.filter((id) => /^[AB]/.test(id) && !cited.has(id))).toEqual([])
})

test('the threat model says "(not yet)" after exactly those rows that have no proof', () => {
  const wrong = citations(MODEL).filter(({ id, unproven }) => unproven !== (STATES.get(id) === 'not yet'))
  expect(wrong.map(({ id }) => `${id} is ${STATES.get(id) ?? 'no row'} in docs/requirements.md`)).toEqual([])
})

test('the threat model names commands and files that exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const commands = [...MODEL.matchAll(/npm run ([\w:]+)/g)].map((match) => match[1] ?? '')
  expect(commands.filter((name) => scripts[name] === undefined)).toEqual([])
  expect(commands.length).toBeGreaterThan(0)
  const files = [...MODEL.matchAll(/`((?:test|src|docs|bench)\/[\w./-]+)`/g)].map((match) => match[1] ?? '')
  expect(files.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
})

test('a claim without its mark, and a mark without its reason, are found', () => {
  expect(citations('A02 (not yet), B01')).toEqual([
    { id: 'A02', unproven: true },
    { id: 'B01', unproven: false },
  ])
})
