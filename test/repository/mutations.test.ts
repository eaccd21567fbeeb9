import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Mutation, MUTATIONS, mutate } from '../mutations/index.ts'
import { REQUIREMENT_IDS } from './requirement-ids.ts'
import { ROOT } from './repository.ts'

const labelOf = ({ rows, removes }: Mutation): string => `${rows.join(', ')}: ${removes}`

test('every mutation finds what it takes away, once, and changes it', () => {
  for (const mutation of MUTATIONS) {
    const text = readFileSync(join(ROOT, mutation.file), 'utf8')
    expect(mutate(text, mutation), labelOf(mutation)).not.toBe(text)
  }
})

test('every mutation names rows of the requirements and a test that exists, and no two are called the same', () => {
  for (const mutation of MUTATIONS) {
    expect(REQUIREMENT_IDS, labelOf(mutation)).toEqual(expect.arrayContaining([...mutation.rows]))
    const { file, name } = mutation.test
    expect(existsSync(join(ROOT, file)), file).toBe(true)
    expect(readFileSync(join(ROOT, file), 'utf8'), labelOf(mutation)).toContain(name)
  }
  expect(new Set(MUTATIONS.map(labelOf)).size).toBe(MUTATIONS.length)
})

/** Rows that no single change of a file takes away, each with what shows that its proof can fail. */
const WITHOUT_MUTATION: Readonly<Record<string, string>> = {}

test('every row of A and B has a protection that is taken away', () => {
  const covered = new Set(MUTATIONS.flatMap(({ rows }) => rows))
  const bare = REQUIREMENT_IDS.filter((id) => /^[AB]/.test(id) && !covered.has(id) && !(id in WITHOUT_MUTATION))
  expect(bare).toEqual([])
})

test('docs/mutations.md lists them all', async () => {
  const lines = MUTATIONS.map(
    ({ rows, removes, file, test: { file: testFile, name } }) =>
      `| ${rows.join(', ')} | ${removes} | [${file}](../${file}) | [${testFile}](../${testFile}) › "${name}" |`,
  )
  const text = `# Protections taken away

One line for each protection that \`npm run test:mutations\` takes away in a copy of the repository, and the test that has to fail then. Made from
[\`test/mutations\`](../test/mutations/index.ts) by \`npx vitest run test/repository/mutations.test.ts -u\`; a test compares.

| rows | what is taken away | where | the test that notices |
|---|---|---|---|
${lines.toSorted().join('\n')}
`
  await expect(text).toMatchFileSnapshot(join(ROOT, 'docs', 'mutations.md'))
})

test('a mutation that would hit nothing, or two places, is refused', () => {
  const mutation = {
    rows: [],
    removes: '',
    file: 'x',
    from: 'a',
    to: 'b',
    rebuild: 'none',
    test: { file: '', name: '' },
  } as const
  expect(mutate('cat', mutation)).toBe('cbt')
  expect(() => mutate('dog', mutation)).toThrow(/got it 0 times/)
  expect(() => mutate('banana', mutation)).toThrow(/got it 3 times/)
})
