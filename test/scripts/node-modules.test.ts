import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nodeModulesMatch } from '../../scripts/bootstrap/node-modules.mjs'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'exec-sandbox-modules-'))
})
afterEach(() => {
  rmSync(root, { recursive: true })
})

interface Entry {
  readonly version: string
  readonly integrity: string
  readonly optional?: boolean
}

const A: Entry = { version: '1.0.0', integrity: 'sha512-a' }
const ELSEWHERE: Entry = { version: '1.0.0', integrity: 'sha512-b', optional: true }

/** A clone whose lock file wants `wanted` and whose node_modules holds `installed`. */
function layOut(wanted: Record<string, Entry>, installed: Record<string, Entry>): void {
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages: { '': { name: 'x' }, ...wanted } }))
  for (const path of Object.keys(installed)) {
    mkdirSync(join(root, path), { recursive: true })
    writeFileSync(join(root, path, 'package.json'), '{}')
  }
  mkdirSync(join(root, 'node_modules'), { recursive: true })
  writeFileSync(join(root, 'node_modules', '.package-lock.json'), JSON.stringify({ packages: installed }))
}

test('what the lock file says is installed: nothing to do', () => {
  layOut({ 'node_modules/a': A, 'node_modules/b': ELSEWHERE }, { 'node_modules/a': A })
  expect(nodeModulesMatch(root)).toBe(true)
})

test('nothing installed, or installed by something else than npm', () => {
  layOut({ 'node_modules/a': A }, { 'node_modules/a': A })
  rmSync(join(root, 'node_modules', '.package-lock.json'))
  expect(nodeModulesMatch(root)).toBe(false)
})

test('another version, a missing package, a package too many, a package that was deleted by hand', () => {
  layOut({ 'node_modules/a': A }, { 'node_modules/a': { ...A, version: '1.0.1' } })
  expect(nodeModulesMatch(root)).toBe(false)
  layOut({ 'node_modules/a': A, 'node_modules/c': A }, { 'node_modules/a': A })
  expect(nodeModulesMatch(root)).toBe(false)
  layOut({ 'node_modules/a': A }, { 'node_modules/a': A, 'node_modules/c': A })
  expect(nodeModulesMatch(root)).toBe(false)
  layOut({ 'node_modules/a': A }, { 'node_modules/a': A })
  rmSync(join(root, 'node_modules', 'a'), { recursive: true })
  expect(nodeModulesMatch(root)).toBe(false)
})
