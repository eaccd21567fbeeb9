import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { templatePaths } from '../../src/host/index.ts'
import { templateKey, type TemplateSpec, type TemplateStore } from '../../src/snapshot/index.ts'
import { fill, makeCache, SIGNAL, spec, type TestCache } from './made-templates.ts'
import { runStore, type Step, type StepResult } from './store-process.ts'

const MIB = 2 ** 20

/** The specs of templates a, b, c, …: each expects 8 MiB. */
const named = (name: string): TemplateSpec => spec({ imageId: `image-${name}` })
const keyOf = (name: string): string => templateKey(named(name))
const keysOf = (...names: readonly string[]): readonly string[] => names.map(keyOf).toSorted()

const warnings = (result: StepResult | undefined): readonly string[] =>
  (result?.lines ?? []).filter((line) => line.includes('WARN'))

/** Runs the steps in a process that sees the cache on a file system of its own, of so many MiB. */
async function onSmallDisk(sizeMib: number, steps: readonly Step[]): Promise<readonly StepResult[]> {
  const directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-small-disk-'))
  try {
    const bubblewrap = ['--size', String(sizeMib * MIB), '--tmpfs', directory]
    return await runStore({ directory, bubblewrap, steps })
  } finally {
    await rm(directory, { recursive: true })
  }
}

describe('a disk that runs full while a template is saved', () => {
  it('loses the least recently used one, and the template is saved at the second try', async () => {
    const [a, b] = await onSmallDisk(160, [
      { do: 'build', spec: named('a'), stateMib: [40] },
      { do: 'build', spec: named('b'), stateMib: [200, 1] },
    ])
    expect(a).toMatchObject({ key: keyOf('a'), made: 1 })
    expect(b).toMatchObject({ key: keyOf('b'), made: 2, keys: keysOf('b') })
    expect(b?.lines.join('\n')).toMatch(/evicted.*"the file system is full"/)
    expect(warnings(b)).toEqual([])
  })

  it('saves nothing when that does not help, leaves nothing, and tells it once', async () => {
    const [a, b, c, d] = await onSmallDisk(160, [
      { do: 'build', spec: named('a'), stateMib: [1] },
      { do: 'build', spec: named('b'), stateMib: [200, 200] },
      { do: 'build', spec: named('c'), stateMib: [200] },
      { do: 'build', spec: named('d'), stateMib: [100] },
    ])
    expect(a?.keys).toEqual(keysOf('a'))
    expect(b).toMatchObject({ made: 2, keys: [] })
    expect(warnings(b)).toEqual([expect.stringMatching(/no space for templates.*ENOSPC/)])
    expect(c).toMatchObject({ made: 1, keys: [] })
    expect(warnings(c)).toEqual([])
    // All that was half made is gone: what needs most of the disk finds it.
    expect(d).toMatchObject({ key: keyOf('d'), made: 1 })
  })
})

describe('a disk that is nearly full', () => {
  it('loses those used least recently before a template is made', async () => {
    const [, , , c] = await onSmallDisk(160, [
      { do: 'build', spec: named('a'), stateMib: [30] },
      { do: 'build', spec: named('b'), stateMib: [30] },
      { do: 'fillDisk', freeMib: 60 },
      { do: 'build', spec: named('c'), stateMib: [1] },
    ])
    expect(c).toMatchObject({ key: keyOf('c'), made: 1, keys: keysOf('b', 'c') })
  })

  it('keeps its templates when even all of them would not be enough, and none is made', async () => {
    const [, , b] = await onSmallDisk(160, [
      { do: 'build', spec: named('a'), stateMib: [5] },
      { do: 'fillDisk', freeMib: 40 },
      { do: 'build', spec: named('b'), stateMib: [1] },
    ])
    expect(b).toMatchObject({ made: 0, keys: keysOf('a') })
    expect(warnings(b)).toEqual([expect.stringMatching(/40 MB are free where 72 MB are needed/)])
  })
})

describe('a disk with room for one template', () => {
  it('is not promised to two that are built side by side', async () => {
    const [, b, c] = await onSmallDisk(160, [
      { do: 'fillDisk', freeMib: 76 },
      { do: 'buildBeside', spec: named('b'), other: named('a') },
      { do: 'build', spec: named('c') },
    ])
    expect(b).toMatchObject({ made: 0, other: keyOf('a'), keys: keysOf('a') })
    expect(warnings(b)).toEqual([expect.stringMatching(/MB are free where 80 MB are needed/)])
    // What was promised is given back, whether it was used or not.
    expect(c).toMatchObject({ made: 1, key: keyOf('c') })
  })
})

describe('the limit of all templates', () => {
  /** Builds a template with a state of one MiB, last used so many seconds after the epoch. */
  async function build(cache: TestCache, store: TemplateStore, name: string, usedAt: number): Promise<void> {
    const make: Parameters<TemplateStore['build']>[1] = async (files) => {
      const facts = await fill(name)(files)
      await writeFile(files.state, Buffer.alloc(MIB, 's'))
      return facts
    }
    await store.build(named(name), make, { signal: SIGNAL })
    await utimes(templatePaths(cache.paths, keyOf(name)).manifest, usedAt, usedAt)
  }

  const present = async (cache: TestCache): Promise<readonly string[]> =>
    (await readdir(cache.paths.templates)).toSorted()

  it('is kept by evicting the least recently used, and use counts, not age', async () => {
    await using cache = await makeCache()
    // Room for one that is expected (8 MiB) beside two and a half of those that were made.
    const store = cache.store({ limitBytes: 10.5 * MIB })
    await build(cache, store, 'a', 100)
    await build(cache, store, 'b', 200)
    await store.open(keyOf('a'))
    await build(cache, store, 'c', 300)
    expect(await present(cache)).toEqual(keysOf('a', 'b', 'c'))
    await build(cache, store, 'd', 400)
    expect(await present(cache)).toEqual(keysOf('a', 'c', 'd'))
    expect(await store.open(keyOf('b'))).toBeUndefined()
    expect(cache.lines.filter((line) => line.includes('WARN'))).toEqual([])
  })

  it('never costs the template that was built last, however small the limit is', async () => {
    await using cache = await makeCache()
    const store = cache.store({ limitBytes: 1 })
    await build(cache, store, 'a', 100)
    expect(await present(cache)).toEqual(keysOf('a'))
    expect(await store.open(keyOf('a'))).toBeDefined()
    await build(cache, store, 'b', 200)
    expect(await present(cache)).toEqual(keysOf('b'))
  })

  it('counts a last use that lies in the future, after the clock was set back, as now', async () => {
    await using cache = await makeCache()
    const store = cache.store()
    await build(cache, store, 'a', Date.now() / 1000 + 1_000_000)
    const [only] = await store.list()
    expect(only?.lastUsedAt).toBeLessThanOrEqual(Date.now())
  })
})
