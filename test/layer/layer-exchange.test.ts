import { readdir, readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, expect, describe, it } from 'vitest'
import { createLogger } from '../../src/base/index.ts'
import { layerPaths } from '../../src/host/index.ts'
import { type Layer, type LayerManifest, layerKey, type LayerStore } from '../../src/layer/index.ts'
import { RemoteCache } from '../../src/remote/index.ts'
import { respond, xmlError } from '../remote/fault-proxy.ts'
import { BUCKET, CREDENTIALS, setCredentials, startS3, type TestS3 } from '../remote/s3-server.ts'
import { gate, type LayerCache, layerSpec, makeDisk, makeLayerCache, WAIT } from './made-layers.ts'

// Layers exchanged through a real S3 server, between the caches of what might be two hosts.

const environment = { ...process.env }
let s3: TestS3
beforeAll(async () => {
  setCredentials(CREDENTIALS)
  s3 = await startS3()
})
afterEach(() => s3.proxy.reset())
afterAll(async () => {
  process.env = environment
  await s3[Symbol.asyncDispose]()
})

interface SharingHost extends AsyncDisposable {
  readonly cache: LayerCache
  readonly store: LayerStore
  readonly remote: RemoteCache
  warnings(): readonly string[]
}

/** @param prefix of what the hosts of one test share */
async function sharingHost(prefix: string, endpoint = s3.endpoint): Promise<SharingHost> {
  const cache = await makeLayerCache()
  const remote = await RemoteCache.open(
    { bucket: BUCKET, endpoint, prefix },
    { workDirectory: cache.paths.uploads, logger: createLogger('debug', (line) => cache.lines.push(line)) },
  )
  return {
    cache,
    remote,
    store: cache.store({ exchange: remote }),
    warnings: () => cache.lines.filter((line) => line.includes(' WARN ')),
    [Symbol.asyncDispose]: async () => {
      await remote.close()
      await cache[Symbol.asyncDispose]()
    },
  }
}

const noInstallation = (): never => expect.fail('it was installed')

/** A host makes the layer and has published it. */
async function publishFrom(prefix: string, mark = 'a'): Promise<Layer> {
  await using host = await sharingHost(prefix)
  const layer = await host.store.build(layerSpec(), makeDisk(mark), WAIT)
  await host.remote.close()
  expect(host.remote.stats()).toMatchObject({ misses: 1, published: 1, failed: 0 })
  return layer
}

describe('a layer that another host has published', () => {
  it('is fetched instead of made, and is the same to the last byte', async () => {
    const made = await publishFrom('fetched')
    await using host = await sharingHost('fetched')
    const layer = await host.store.build(layerSpec(), noInstallation, WAIT)
    expect(layer.manifest).toEqual(made.manifest)
    expect(await readFile(layer.file)).toEqual(Buffer.alloc(40_000, 'a;'))
    expect(host.remote.stats()).toEqual({ hits: 1, misses: 0, published: 0, failed: 0, skipped: 0 })
    // On the disk it is like one's own: found, digested and checked without the store.
    expect(await host.cache.store().open(layer.key, WAIT.signal)).toEqual(layer)
    expect((await readdir(layerPaths(host.cache.paths, layer.key).directory)).toSorted()).toEqual([
      'layer.erofs',
      'manifest.json',
      'verified.json',
    ])
    expect(host.warnings()).toEqual([])
  })

  it('is fetched once for all who want it', async () => {
    await publishFrom('once')
    s3.proxy.reset()
    await using host = await sharingHost('once')
    const other = host.cache.store({ exchange: host.remote })
    const stores = [host.store, other, host.store, other]
    await Promise.all(stores.map(async (store) => await store.build(layerSpec(), noInstallation, WAIT)))
    expect(host.remote.stats()).toMatchObject({ hits: 1, misses: 0 })
    expect(s3.proxy.paths('GET')).toHaveLength(2)
  })

  it('is given up with the one who wants it, and leaves nothing', async () => {
    await publishFrom('given-up')
    await using host = await sharingHost('given-up')
    const asked = gate<void>()
    s3.proxy.fault = (_method, path) => (path.endsWith('.zst') ? () => asked.resolve(undefined) : undefined)
    const giveUp = new AbortController()
    const build = host.store.build(layerSpec(), noInstallation, { ...WAIT, signal: giveUp.signal })
    await asked.promise
    giveUp.abort()
    await expect(build).rejects.toMatchObject({ code: 'ABORTED' })
    await host.store.settled()
    expect(await readdir(host.cache.paths.layers)).toEqual([])
    expect(host.warnings()).toEqual([])
  })
})

describe('a store that lies', () => {
  /** What a stranger with write access could say of a layer; everything around it fits. */
  const LIES: Readonly<Record<string, (own: LayerManifest) => unknown>> = {
    'is the layer of another key': (own) => ({ ...own, key: '0'.repeat(20) }),
    'is the layer of other packages': (own) => ({ ...own, spec: { ...own.spec, packages: ['evil==1.0'] } }),
    'has another digest': (own) => ({ ...own, disk: { ...own.disk, sha256: 'f'.repeat(64) } }),
    'has another size': (own) => ({ ...own, disk: { ...own.disk, size: own.disk.size + 1 } }),
    'has modules that are programs': (own) => ({ ...own, modules: ['os; print(1)'] }),
    'has fields of a stranger': (own) => ({ ...own, file: '../../etc/passwd' }),
    'says nothing': () => ({}),
  }

  it.each(Object.entries(LIES))('and says that it %s costs an installation, which replaces it', async (name, lie) => {
    const prefix = `lie-${name.replaceAll(' ', '-')}`
    await using honest = await makeLayerCache()
    const { key, file, digest, manifest } = await honest.store().build(layerSpec(), makeDisk('evil'), WAIT)
    await using liar = await sharingHost(prefix)
    const own = lie(manifest) as Record<string, unknown>
    liar.remote.publish(key, { file, sha256: digest, bytes: manifest.disk.size, manifest: own })
    await liar.remote.close()
    expect(liar.remote.stats().published).toBe(1)
    s3.proxy.reset()
    await using host = await sharingHost(prefix)
    const layer = await host.store.build(layerSpec(), makeDisk('b'), WAIT)
    expect(layer.manifest.packages).toEqual([{ name: 'b', version: '1.0' }])
    expect(host.warnings()).toEqual([expect.stringMatching(/gave something else than what was stored/)])
    // Not even fetched.
    expect(s3.proxy.paths('GET').filter((path) => path.endsWith('.zst'))).toEqual([])
    await host.remote.close()
    expect(host.remote.stats()).toEqual({ hits: 0, misses: 0, published: 1, failed: 1, skipped: 0 })
    await using next = await sharingHost(prefix)
    expect((await next.store.build(layerSpec(), noInstallation, WAIT)).manifest).toEqual(layer.manifest)
  })
})

describe('a manifest nested deeper than programs recurse', () => {
  it('costs an installation', async () => {
    await publishFrom('nested')
    const nest = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    s3.proxy.fault = (method, path) =>
      method === 'GET' && path.endsWith('manifest.json')
        ? async (response, forward) => {
            const answer = await forward()
            const body = Buffer.from(answer.body.toString().replace('"modules":[]', `"modules":${nest}`))
            expect(body.length).toBeGreaterThan(nest.length)
            respond(response, {
              ...answer,
              headers: { ...answer.headers, 'content-length': String(body.length) },
              body,
            })
          }
        : undefined
    await using host = await sharingHost('nested')
    const layer = await host.store.build(layerSpec(), makeDisk('b'), WAIT)
    expect(layer.manifest.packages).toEqual([{ name: 'b', version: '1.0' }])
    expect(host.warnings()).toEqual([expect.stringMatching(/gave something else than what was stored/)])
  })
})

describe('a store that is not to be had', () => {
  it.each([
    ['is down', async () => 'http://127.0.0.1:9'],
    [
      'refuses',
      async () => {
        s3.proxy.fault = () => (response) => respond(response, xmlError(403, 'AccessDenied'))
        return s3.endpoint
      },
    ],
  ])('because it %s costs one warning', async (_how, endpoint) => {
    await using host = await sharingHost('down', await endpoint())
    const layer = await host.store.build(layerSpec(), makeDisk('a'), WAIT)
    expect(layer.key).toBe(layerKey(layerSpec()))
    await host.remote.close()
    expect(host.warnings()).toHaveLength(1)
    expect(host.remote.stats()).toMatchObject({ hits: 0, published: 0 })
  })
})

describe('an installation that fails', () => {
  it('is not published', async () => {
    await using host = await sharingHost('failed')
    const make = async (): Promise<never> => await Promise.reject(new Error('no wheel'))
    await expect(host.store.build(layerSpec(), make, WAIT)).rejects.toThrow('no wheel')
    await host.remote.close()
    expect(host.remote.stats()).toMatchObject({ misses: 1, published: 0, failed: 0 })
    expect(s3.proxy.paths('PUT')).toEqual([])
  })
})
