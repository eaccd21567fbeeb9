import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { repositoryFiles, ROOT } from './repository.ts'

/** Lines. A longer file is more than one thing (CONTRIBUTING.md, "Structure"). */
const LIMIT = 500

test('no source file is longer than one thing can be', () => {
  const sources = repositoryFiles().filter((path) => /\.(?:ts|mjs|rs|py|sh|c)$/.test(path))
  const long = sources
    .map((path) => ({ path, lines: readFileSync(join(ROOT, path), 'utf8').split('\n').length - 1 }))
    .filter(({ lines }) => lines > LIMIT)
  expect(long).toEqual([])
  expect(sources.length).toBeGreaterThan(0)
})
