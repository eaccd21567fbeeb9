import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const directory = dirname(dirname(fileURLToPath(import.meta.url)))
const manifest = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8')) as {
  files: { source: string; target: string }[]
}

test('every source of a REPL that is run as it is stands in the manifest', () => {
  const sources = ['python', 'javascript'].flatMap((language) =>
    readdirSync(join(directory, language), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(?:py|ts)$/.test(name))
      .map((name) => `${language}/${name}`),
  )
  expect(manifest.files.map(({ source }) => source).sort()).toEqual(sources.sort())
})

test('a file has the same place in the guest as in the repository', () => {
  for (const { source, target } of manifest.files) expect(target).toBe(source)
})
