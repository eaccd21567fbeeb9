import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { contentKey, digestTree } from './content-key.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-key-'))
  await mkdir(join(directory, 'a'))
  await writeFile(join(directory, 'a', 'file'), 'content')
  await symlink('file', join(directory, 'a', 'link'))
})
afterEach(async () => await rm(directory, { recursive: true }))

test('a key depends on names and values, not on their order', () => {
  expect(contentKey({ a: '1', b: '2' })).toBe(contentKey({ b: '2', a: '1' }))
  expect(contentKey({ a: '1', b: '2' })).not.toBe(contentKey({ a: '2', b: '1' }))
  expect(contentKey({ a: '1;1:b=1:2' })).not.toBe(contentKey({ a: '1', b: '2' }))
  expect(contentKey({})).toMatch(/^[0-9a-f]{20}$/)
})

test('a tree’s digest changes with content, names, links and the executable bit, and with nothing else', async () => {
  const { digest: before, size, files } = await digestTree(directory)
  expect({ size, files }).toEqual({ size: 7, files: 1 })
  await chmod(join(directory, 'a', 'file'), 0o600)
  expect((await digestTree(directory)).digest).toBe(before)

  const seen = new Set([before])
  await chmod(join(directory, 'a', 'file'), 0o755)
  seen.add((await digestTree(directory)).digest)
  await writeFile(join(directory, 'a', 'file'), 'Content')
  seen.add((await digestTree(directory)).digest)
  await rm(join(directory, 'a', 'link'))
  await symlink('elsewhere', join(directory, 'a', 'link'))
  seen.add((await digestTree(directory)).digest)
  await mkdir(join(directory, 'empty'))
  seen.add((await digestTree(directory)).digest)
  expect(seen.size).toBe(5)
})

test('what is skipped does not count', async () => {
  const before = await digestTree(directory)
  await mkdir(join(directory, 'target'))
  await writeFile(join(directory, 'target', 'x'), 'x')
  const skip = (path: string): boolean => path === 'target'
  expect(await digestTree(directory, { skip })).toEqual(before)
})
