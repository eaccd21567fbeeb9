import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, posix } from 'node:path'
import { expect, test } from 'vitest'
import { importStatements } from './import-statements.ts'
import { repositoryFiles, ROOT } from './repository.ts'

/**
 * Who may import whom: each folder only what stands below its own line (ARCHITECTURE.md, "Import direction").
 * `scheduler` is the composition root: the files directly in src/.
 */
const LAYERS: readonly (readonly string[])[] = [
  ['cli'],
  ['scheduler'],
  ['packages'],
  ['sandbox', 'pool'],
  ['snapshot'],
  ['vm'],
  ['qemu', 'channel', 'network', 'image', 'layer', 'admission', 'remote'],
  ['host'],
  ['base'],
]

/** Packages that only one folder may use: a library has no business with terminals, and what is optional stays so. */
const RESERVED: Readonly<Record<string, string>> = {
  commander: 'cli',
  '@clack/prompts': 'cli',
  '@aws-sdk/client-s3': 'remote',
  '@bokuweb/zstd-wasm': 'remote',
}

function folderOf(path: string): string {
  const [, folder, rest] = path.split('/')
  return rest === undefined ? 'scheduler' : (folder ?? '')
}

const layerOf = (folder: string): number => LAYERS.findIndex((layer) => layer.includes(folder))

/** What is wrong with an import, or nothing. */
function violation(path: string, specifier: string | undefined, packages: ReadonlySet<string>): string | undefined {
  const from = folderOf(path)
  if (specifier === undefined) return 'a dynamic import whose target nobody can read'
  if (!specifier.startsWith('.')) {
    const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
    if (specifier.startsWith('node:')) {
      return builtinModules.includes(specifier.slice(5)) ? undefined : `no such module of Node: ${specifier}`
    }
    if (!packages.has(name)) return `not among the dependencies: ${name}`
    const owner = RESERVED[name]
    return owner === undefined || owner === from ? undefined : `${name} belongs to ${owner}`
  }
  const target = posix.normalize(posix.join(dirname(path), specifier))
  if (path.endsWith('.test.ts') && target.startsWith('test/')) return undefined
  if (!target.startsWith('src/')) return `leaves src: ${specifier}`
  const to = folderOf(target)
  if (layerOf(to) === -1) return `unknown folder: ${to}`
  if (to === from) return undefined
  if (layerOf(to) <= layerOf(from)) return `${from} may not import ${to}`
  // The files directly in src/ are no folder, so there is no door to go through.
  if (to === 'scheduler' || target === `src/${to}/index.ts`) return undefined
  return `not through the door src/${to}/index.ts: ${specifier}`
}

function packagesFor(path: string): ReadonlySet<string> {
  const manifest: { dependencies: object; peerDependencies: object; devDependencies: object } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  )
  const isTest = path.endsWith('.test.ts')
  const atRunTime = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)]
  return new Set([...atRunTime, ...(isTest ? Object.keys(manifest.devDependencies) : [])])
}

const SOURCES = repositoryFiles().filter((path) => path.startsWith('src/') && path.endsWith('.ts'))

test('every source file stands in a folder of the table', () => {
  expect(SOURCES.filter((path) => layerOf(folderOf(path)) === -1)).toEqual([])
  expect(SOURCES.length).toBeGreaterThan(0)
})

test('imports point down the table and enter a folder through its door', () => {
  const violations = SOURCES.flatMap((path) => {
    const packages = packagesFor(path)
    return importStatements(readFileSync(join(ROOT, path), 'utf8')).flatMap(({ specifier, line }) => {
      const wrong = violation(path, specifier, packages)
      return wrong === undefined ? [] : [`${path}:${line}: ${wrong}`]
    })
  })
  expect(violations).toEqual([])
})

test('the table catches what it is for', () => {
  const packages = new Set(['zod', 'commander'])
  expect(violation('src/host/x.ts', '../vm/index.ts', packages)).toBe('host may not import vm')
  expect(violation('src/vm/x.ts', '../host/paths.ts', packages)).toMatch(/not through the door/)
  expect(violation('src/vm/x.ts', '../host/index.ts', packages)).toBeUndefined()
  expect(violation('src/base/x.ts', '../index.ts', packages)).toBe('base may not import scheduler')
  expect(violation('src/cli/x.ts', '../scheduler.ts', packages)).toBeUndefined()
  expect(violation('src/cli/x.ts', '../index.ts', packages)).toBeUndefined()
  expect(violation('src/qemu/x.ts', '../channel/index.ts', packages)).toBe('qemu may not import channel')
  expect(violation('src/vm/x.ts', 'commander', packages)).toBe('commander belongs to cli')
  expect(violation('src/vm/x.ts', 'left-pad', packages)).toBe('not among the dependencies: left-pad')
  expect(violation('src/vm/x.ts', '../../package.json', packages)).toMatch(/leaves src/)
  expect(violation('src/vm/x.ts', '../../test/vm/processes.ts', packages)).toMatch(/leaves src/)
})

test('the reader of imports sees every form and nothing else', () => {
  const source = [
    "import type { A } from './a.ts'",
    'import {',
    '  b, // from "nowhere"',
    "} from './b.ts'",
    "export * from './c.ts'",
    "import './d.ts'",
    "export const text = 'import x from nowhere'",
    "// import './comment.ts'",
    'const program = `',
    'import os from "os"',
    '`',
    "const e = await import('./e.ts')",
    'const f = await import(name)',
    'export const url = import.meta.url',
  ].join('\n')
  expect(importStatements(source).map(({ specifier }) => specifier)).toEqual([
    './a.ts',
    './b.ts',
    './c.ts',
    './d.ts',
    './e.ts',
    undefined,
  ])
})
