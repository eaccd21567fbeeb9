import {
  chmod,
  copyFile,
  lstat,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PackageError } from '../../src/base/index.ts'
import { type LayerPaths, layerPaths } from '../../src/host/index.ts'
import { type Layer, layerKey, type LayerSpec } from '../../src/layer/index.ts'
import { runStore, startStore } from '../snapshot/store-process.ts'
import { gate, type LayerCache, layerSpec, makeDisk, makeLayerCache, WAIT } from './made-layers.ts'

const names = async (cache: LayerCache): Promise<readonly string[]> => (await readdir(cache.paths.layers)).toSorted()
const warnings = (cache: LayerCache): readonly string[] => cache.lines.filter((line) => line.includes('WARN'))

async function twoLayers(cache: LayerCache): Promise<readonly [Layer, Layer]> {
  const store = cache.store()
  const one = await store.build(layerSpec(), makeDisk('a'), WAIT)
  return [one, await store.build(layerSpec({ language: 'javascript', packages: ['zod'] }), makeDisk('b'), WAIT)]
}

describe('a layer', () => {
  it('is made once and then opened, also by another store', async () => {
    await using cache = await makeLayerCache()
    const spec = layerSpec()
    const layer = await cache.store().build(spec, makeDisk('a'), WAIT)
    expect(layer).toMatchObject({ key: layerKey(spec), manifest: { spec, packages: [{ name: 'a', version: '1.0' }] } })
    expect(await cache.store().open(layer.key, WAIT.signal)).toEqual(layer)
    const again = await cache.store().build(spec, () => expect.fail('made twice'), WAIT)
    expect(again).toEqual(layer)
    expect(await names(cache)).toEqual([layer.key])
  })

  it('can be read by nobody else, and its disk by whoever is given it', async () => {
    await using cache = await makeLayerCache()
    const { key, file } = await cache.store().build(layerSpec(), makeDisk('a'), WAIT)
    const modeOf = async (path: string): Promise<number> => (await lstat(path)).mode & 0o7777
    expect(await modeOf(cache.paths.layers)).toBe(0o700)
    expect(await modeOf(layerPaths(cache.paths, key).directory)).toBe(0o700)
    expect(await modeOf(file)).toBe(0o444)
  })

  it('leaves nothing when it cannot be made, and what went wrong is told', async () => {
    await using cache = await makeLayerCache()
    const failure = new Error('no wheel')
    const make = async (): Promise<never> => await Promise.reject(failure)
    await expect(cache.store().build(layerSpec(), make, WAIT)).rejects.toBe(failure)
    expect(await names(cache)).toEqual([])
  })

  it('is not made of an empty disk', async () => {
    await using cache = await makeLayerCache()
    await expect(cache.store().build(layerSpec(), async () => ({ packages: [], modules: [] }), WAIT)).rejects.toThrow(
      /empty disk/,
    )
    expect(await names(cache)).toEqual([])
  })

  it('is made once for all who want it at the same time, and goes on when one of them gives up', async () => {
    await using cache = await makeLayerCache()
    const store = cache.store()
    let made = 0
    const opened = gate<void>()
    const begun = gate<AbortSignal>()
    const build = async (signal: AbortSignal): Promise<Layer> =>
      await store.build(
        layerSpec(),
        async (work) => {
          made += 1
          begun.resolve(work.signal)
          await opened.promise
          return await makeDisk('a')(work)
        },
        { ...WAIT, signal },
      )
    const giveUp = new AbortController()
    const [first, second] = [build(giveUp.signal), build(WAIT.signal)]
    const working = await begun.promise
    giveUp.abort()
    await expect(first).rejects.toMatchObject({ code: 'ABORTED' })
    expect(working.aborted).toBe(false)
    opened.resolve(undefined)
    expect((await second).key).toBe(layerKey(layerSpec()))
    expect(made).toBe(1)
  })

  it('is given up when nobody wants it any more', async () => {
    await using cache = await makeLayerCache()
    const giveUp = new AbortController()
    const stopped = gate<void>()
    const build = cache.store().build(
      layerSpec(),
      async ({ signal }) => {
        signal.addEventListener('abort', () => stopped.resolve(undefined), { once: true })
        giveUp.abort()
        await stopped.promise
        throw new Error('stopped')
      },
      { ...WAIT, signal: giveUp.signal },
    )
    await expect(build).rejects.toMatchObject({ code: 'ABORTED' })
    await stopped.promise
  })
})

type Damage = (layer: LayerPaths, other: LayerPaths) => Promise<unknown>

async function edit(path: string, from: string, to: string): Promise<void> {
  const text = await readFile(path, 'utf8')
  expect(text).toContain(from)
  await rm(path)
  await writeFile(path, text.replace(from, to))
}

const DAMAGES: readonly (readonly [string, Damage, RegExp])[] = [
  ['no manifest', async ({ manifest }) => await rm(manifest), /manifest\.json/],
  [
    'a manifest of another format',
    async ({ manifest }) => await edit(manifest, '"format":1', '"format":9'),
    /format 9/,
  ],
  ['a manifest of another spec', async ({ manifest }) => await edit(manifest, '2.2.3', '2.2.2'), /describes another/],
  [
    "another layer's manifest",
    async ({ manifest }, other) => await rename(other.manifest, manifest),
    /that of another/,
  ],
  ['a torn manifest', async ({ manifest }) => await cut(manifest), /not JSON/],
  ['no disk', async ({ disk }) => await rm(disk), /ENOENT/],
  ['a disk that was cut off', async ({ disk }) => await cut(disk), /20000 bytes instead of 40000/],
  ['one bit flipped and the time set back', async ({ disk }) => await flip(disk), /another digest/],
  [
    "another layer's disk with its stamp",
    async (layer, other) => {
      await rename(other.disk, layer.disk)
      await rename(other.stamp, layer.stamp)
    },
    /another digest/,
  ],
  [
    'a link for its disk',
    async ({ disk }, other) => {
      await rm(disk)
      await symlink(other.disk, disk)
    },
    /not a regular file/,
  ],
]

describe('a layer with', () => {
  it.each(DAMAGES)('%s is found damaged, told with the reason, removed, and made anew', async (_name, damage, why) => {
    await using cache = await makeLayerCache()
    const [layer, other] = await twoLayers(cache)
    await damage(layerPaths(cache.paths, layer.key), layerPaths(cache.paths, other.key))
    const store = cache.store()
    expect(await store.open(layer.key, WAIT.signal)).toBeUndefined()
    expect(warnings(cache)).toEqual([expect.stringMatching(why)])
    expect(await names(cache)).not.toContain(layer.key)
    const rebuilt = await store.build(layerSpec(), makeDisk('a'), WAIT)
    expect(rebuilt.digest).toBe(layer.digest)
  })

  it('a copied disk is digested again and found good', async () => {
    await using cache = await makeLayerCache()
    const [layer] = await twoLayers(cache)
    await copyFile(layer.file, `${layer.file}.copy`)
    await rm(layer.file)
    await rename(`${layer.file}.copy`, layer.file)
    expect(await cache.store().open(layer.key, WAIT.signal)).toEqual(layer)
    expect(warnings(cache)).toEqual([])
  })

  it('a disk that was swapped is noticed by the process that has used it', async () => {
    await using cache = await makeLayerCache()
    const store = cache.store()
    const layer = await store.build(layerSpec(), makeDisk('a'), WAIT)
    await flip(layer.file)
    expect(await store.open(layer.key, WAIT.signal)).toBeUndefined()
  })
})

async function cut(path: string): Promise<void> {
  await chmod(path, 0o644)
  await truncate(path, Math.floor((await lstat(path)).size / 2))
}

async function flip(path: string): Promise<void> {
  const { atime, mtime } = await lstat(path)
  await chmod(path, 0o644)
  const file = await open(path, 'r+')
  await file.write(Buffer.from([7]), 0, 1, 1_000)
  await file.close()
  await utimes(path, atime, mtime)
}

describe('two processes', () => {
  it('make a layer once', async () => {
    await using cache = await makeLayerCache()
    const step = { do: 'buildLayer', spec: layerSpec(), mib: 1 } as const
    await using first = await startStore({ directory: cache.directory, steps: [{ ...step, wait: true }] })
    expect(await first.line()).toBe('making')
    await using second = await startStore({ directory: cache.directory, steps: [step] })
    first.goOn()
    expect(await first.results()).toMatchObject([{ key: layerKey(step.spec), made: 1 }])
    expect(await second.results()).toMatchObject([{ key: layerKey(step.spec), made: 0 }])
  })

  it('leave nothing of the one that was killed', async () => {
    await using cache = await makeLayerCache()
    const step = { do: 'buildLayer', spec: layerSpec(), mib: 1, wait: true } as const
    await using first = await startStore({ directory: cache.directory, steps: [step] })
    expect(await first.line()).toBe('making')
    const second = cache.store().build(layerSpec(), makeDisk('a'), WAIT)
    expect(await names(cache)).toEqual([expect.stringMatching(/^tmp-/)])
    first.process.kill('SIGKILL')
    expect((await second).key).toBe(layerKey(layerSpec()))
    expect(await names(cache)).toEqual([layerKey(layerSpec())])
  })
})

describe('space', () => {
  const named = (name: string): LayerSpec => layerSpec({ packages: [name] })

  it('of the limit goes to the layers used last, and to the one just made in any case', async () => {
    await using cache = await makeLayerCache()
    const store = cache.store({ limitBytes: 100_000 })
    for (const name of ['a', 'b', 'c']) {
      await store.build(named(name), makeDisk(name), WAIT)
      const at = { a: 10, b: 20, c: 30 }[name] ?? 0
      await utimes(layerPaths(cache.paths, layerKey(named(name))).manifest, at, at)
      if (name === 'b') await store.open(layerKey(named('a')), WAIT.signal)
    }
    expect(await names(cache)).toEqual([layerKey(named('a')), layerKey(named('c'))].toSorted())
    await store.build(named('huge'), makeDisk('huge', 200_000), WAIT)
    expect(await names(cache)).toEqual([layerKey(named('huge'))])
  })

  it('of the disk is made by evicting, and when that is not enough none is evicted and it is told clearly', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-small-disk-'))
    try {
      const [a, b, c] = await runStore({
        directory,
        bubblewrap: ['--size', String(160 * 2 ** 20), '--tmpfs', directory],
        steps: [
          { do: 'buildLayer', spec: named('a'), mib: 50 },
          { do: 'buildLayer', spec: named('b'), mib: 60 },
          { do: 'buildLayer', spec: named('c'), mib: 120 },
        ],
      })
      expect(a).toMatchObject({ made: 1, keys: [layerKey(named('a'))] })
      expect(b).toMatchObject({ made: 1, keys: [layerKey(named('b'))] })
      expect(c).toMatchObject({ error: expect.stringMatching(/^PACKAGE: No space .* 184 MB are needed/) })
      expect(c?.keys).toEqual([layerKey(named('b'))])
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  it('that cannot be written at all is told as that', async () => {
    await using cache = await makeLayerCache()
    await writeFile(cache.paths.cacheDir, '')
    const build = cache.store().build(layerSpec(), makeDisk('a'), WAIT)
    await expect(build).rejects.toThrow(/cannot be written \(ENOTDIR\)/)
    await expect(build).rejects.toBeInstanceOf(PackageError)
  })
})

describe('the key', () => {
  it('differs whenever any part of the spec does', () => {
    const field = fc.record({
      language: fc.constantFrom('python' as const, 'javascript' as const),
      packages: fc.array(fc.constantFrom('a', 'b', 'a,b', '"', 'b","c'), { maxLength: 3 }),
      root: fc.constantFrom('0', '1'),
      index: fc.constantFrom('default', '1'),
    })
    fc.assert(
      fc.property(field, field, (left, right) => {
        expect(layerKey(left) === layerKey(right)).toBe(JSON.stringify(left) === JSON.stringify(right))
      }),
    )
  })
})
