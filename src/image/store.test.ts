import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { AbortedError, abortedError, createLogger } from '../base/index.ts'
import { type HostPaths, resolvePaths } from '../host/index.ts'
import { type BuiltComponent, type Component, provideComponent, removeStaleTemporaries } from './store.ts'

let paths: HostPaths
let builds: number

beforeEach(async () => {
  paths = resolvePaths({}, { cacheDir: await mkdtemp(join(tmpdir(), 'exec-sandbox-store-')) })
  builds = 0
})
afterEach(async () => await rm(paths.cacheDir, { recursive: true }))

async function provide(
  key: string,
  body?: (output: string) => Promise<void>,
  signal?: AbortSignal,
): Promise<Component> {
  const build = async (output: string): Promise<BuiltComponent> => {
    builds += 1
    await writeFile(join(output, 'vmlinux'), `content of ${key}`)
    await body?.(output)
    return { facts: { kernel: '6.12' }, artifacts: { vmlinux: 'file' } }
  }
  return await provideComponent(paths, {
    kind: 'kernel',
    key,
    build,
    signal: signal ?? new AbortController().signal,
    logger: createLogger('silent'),
  })
}

test('a component is built once per key', async () => {
  expect((await provide('a')).cached).toBe(false)
  const again = await provide('a')
  expect(again).toMatchObject({ cached: true, facts: { kernel: '6.12' } })
  expect(again.artifacts['vmlinux']?.size).toBe('content of a'.length)
  await provide('b')
  expect(builds).toBe(2)
})

test.each([
  ['changed content', async (directory: string) => await writeFile(join(directory, 'vmlinux'), 'content of b')],
  ['a missing file', async (directory: string) => await rm(join(directory, 'vmlinux'))],
  ['a torn description', async (directory: string) => await writeFile(join(directory, 'component.json'), '{"format"')],
  ['no description', async (directory: string) => await rm(join(directory, 'component.json'))],
])('a stored component with %s is built again', async (_, damage) => {
  await damage((await provide('a')).directory)
  expect((await provide('a')).cached).toBe(false)
  expect((await provide('a')).cached).toBe(true)
})

test('a build that fails leaves nothing and can be tried again', async () => {
  const failing = provide('a', async () => await Promise.reject(new Error('compiler')))
  await expect(failing).rejects.toThrow('compiler')
  expect(await readdir(join(paths.build, 'tmp'))).toEqual([])
  expect((await provide('a')).cached).toBe(false)
})

test('an abort during a build leaves nothing, even when the build itself ended well', async () => {
  const abort = new AbortController()
  const aborted = provide('a', async () => await Promise.resolve(abort.abort(new Error('Ctrl-C'))), abort.signal)
  await expect(aborted).rejects.toBeInstanceOf(AbortedError)
  expect(abortedError(abort.signal)).toBeInstanceOf(AbortedError)
  expect(await readdir(paths.build)).toEqual(['tmp'])
  expect(await readdir(join(paths.build, 'tmp'))).toEqual([])
})

test('what a dead builder left is removed', async () => {
  await mkdir(join(paths.build, 'tmp', 'kernel-source-dead', 'tree'), { recursive: true })
  await removeStaleTemporaries(paths)
  expect(await readdir(paths.build)).toEqual([])
})
