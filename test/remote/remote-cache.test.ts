import { createHash } from 'node:crypto'
import { readFile, rm, stat } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AbortedError } from '../../src/base/index.ts'
import type { RemoteCache } from '../../src/remote/index.ts'
import { type Answer, respond } from './fault-proxy.ts'
import { content, Host, newKey, SIGNAL } from './remote-fixture.ts'
import { BUCKET, CREDENTIALS, setCredentials, startS3, type TestS3 } from './s3-server.ts'

const MIB = 2 ** 20
const environment = { ...process.env }
let s3: TestS3
let host: Host

beforeAll(async () => {
  s3 = await startS3()
})
afterAll(async () => {
  process.env = environment
  await s3[Symbol.asyncDispose]()
})
beforeEach(async () => {
  setCredentials(CREDENTIALS)
  host = await Host.make()
})
afterEach(async () => {
  s3.proxy.reset()
  await host[Symbol.asyncDispose]()
})

/** Publishes and waits until that is done. */
async function publish(key: string, bytes: Uint8Array, manifest: Record<string, unknown> = {}): Promise<void> {
  const cache = await host.open(s3.endpoint)
  cache.publish(key, await host.layer(bytes, manifest))
  await cache.close()
}

async function fetched(cache: RemoteCache, key: string): Promise<Buffer | undefined> {
  const file = host.newFile()
  const layer = await cache.fetch(key, { file, signal: SIGNAL })
  return layer === undefined ? undefined : await readFile(file)
}

describe('a layer that one host has published', () => {
  it.each([1, 4096, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3 * MIB + 17])(
    'of %i bytes is fetched by another',
    async (bytes) => {
      const key = newKey()
      const original = content(bytes)
      await publish(key, original, { packages: ['pandas==2.2.3'], nested: { a: [1, null] } })
      const cache = await host.open(s3.endpoint)
      const file = host.newFile()
      const layer = await cache.fetch(key, { file, signal: SIGNAL })
      expect(layer).toEqual({
        sha256: createHash('sha256').update(original).digest('hex'),
        bytes,
        manifest: { packages: ['pandas==2.2.3'], nested: { a: [1, null] } },
      })
      expect((await readFile(file)).equals(original)).toBe(true)
      expect((await stat(file)).mode & 0o777).toBe(0o600)
      expect(cache.stats()).toMatchObject({ hits: 1, misses: 0, failed: 0 })
      expect(host.warnings).toEqual([])
    },
  )

  it('is uploaded once: who finds it there leaves it', async () => {
    const key = newKey()
    await publish(key, content(1000))
    expect(s3.proxy.paths('PUT')).toHaveLength(2)
    await publish(key, content(1000))
    expect(s3.proxy.paths('PUT')).toHaveLength(2)
    expect(host.warnings).toEqual([])
  })

  it('lies under the names that are documented, its manifest written last', async () => {
    const key = newKey()
    const cache = await host.open(s3.endpoint, { prefix: '/team/ci/' })
    cache.publish(key, await host.layer(content(1000)))
    await cache.close()
    const base = `/${BUCKET}/team/ci/layers/v1/${key}`
    expect(s3.proxy.paths('GET')).toEqual([`${base}/manifest.json`])
    expect(s3.proxy.paths('PUT')).toEqual([
      expect.stringMatching(new RegExp(`^${base}/[0-9a-f]{64}\\.zst$`)),
      `${base}/manifest.json`,
    ])
    // Without the prefix it is not there.
    expect(await fetched(await host.open(s3.endpoint), key)).toBeUndefined()
    expect(host.warnings).toEqual([])
  })

  it('leaves nothing in the work directory, and is smaller there than here', async () => {
    const key = newKey()
    let sent = 0
    await publish(key, content(2 * MIB))
    s3.proxy.fault = (_method, path) => async (response, forward) => {
      const answer: Answer = await forward()
      if (path.endsWith('.zst')) sent = answer.body.length
      respond(response, answer)
    }
    expect(await fetched(await host.open(s3.endpoint), key)).toBeDefined()
    expect(sent).toBeGreaterThan(MIB / 2)
    expect(sent).toBeLessThan(1.5 * MIB)
    expect(await host.leftovers()).toEqual([expect.stringMatching(/^layer-/), expect.stringMatching(/^source-/)])
  })

  it('is whole although two hosts publish different bytes under one key at once', async () => {
    const key = newKey()
    const [ours, theirs] = [content(600_000), content(600_000)]
    const [a, b] = [await host.open(s3.endpoint), await host.open(s3.endpoint)]
    a.publish(key, await host.layer(ours))
    b.publish(key, await host.layer(theirs))
    await Promise.all([a.close(), b.close()])
    expect(s3.proxy.paths('PUT')).toHaveLength(4)
    const found = await fetched(await host.open(s3.endpoint), key)
    expect(found?.equals(ours) === true || found?.equals(theirs) === true).toBe(true)
    expect(host.warnings).toEqual([])
  })

  it('is not published when its file is not what it should be, or too large a manifest comes with it', async () => {
    const cache = await host.open(s3.endpoint)
    const layer = await host.layer(content(5000))
    cache.publish(newKey(), { ...layer, bytes: 4999 })
    cache.publish(newKey(), { ...layer, bytes: 5001 })
    cache.publish(newKey(), { ...layer, sha256: '0'.repeat(64) })
    cache.publish(newKey(), { ...layer, manifest: { text: 'x'.repeat(800_000) } })
    const gone = await host.layer(content(5000))
    await rm(gone.file)
    cache.publish(newKey(), gone)
    await cache.close()
    expect(s3.proxy.paths('PUT')).toEqual([])
    expect(cache.stats()).toMatchObject({ published: 0, failed: 5 })
    expect(host.warnings).toHaveLength(1)
  })
})

describe('a layer that nobody has published', () => {
  it('is a miss, without a warning', async () => {
    const cache = await host.open(s3.endpoint)
    expect(await fetched(cache, newKey())).toBeUndefined()
    expect(cache.stats()).toMatchObject({ hits: 0, misses: 1, failed: 0 })
    expect(host.warnings).toEqual([])
    expect(await host.leftovers()).toEqual([])
  })

  it('is one when only the packed bytes are there, as after an upload that was cut off', async () => {
    const key = newKey()
    s3.proxy.fault = (method, path) =>
      method === 'PUT' && path.endsWith('manifest.json') ? (response) => void response.destroy() : undefined
    await publish(key, content(1000))
    s3.proxy.fault = () => undefined
    expect(await fetched(await host.open(s3.endpoint), key)).toBeUndefined()
  })

  it('is one when it is larger than the caller wants', async () => {
    const key = newKey()
    await publish(key, content(1001))
    const cache = await host.open(s3.endpoint)
    const file = host.newFile()
    expect(await cache.fetch(key, { file, maxBytes: 1000, signal: SIGNAL })).toBeUndefined()
    expect(await cache.fetch(key, { file, maxBytes: 1001, signal: SIGNAL })).toBeDefined()
  })
})

describe('uploads', () => {
  it('are bounded in number and in line, and what is refused is counted', async () => {
    const cache = await host.open(s3.endpoint, {}, { uploads: 2, waitingUploads: 3 })
    for (let count = 0; count < 8; count += 1) cache.publish(newKey(), await host.layer(content(300_000)))
    // The pace of uploads is the machine's: some may have ended while the layers above were written.
    await cache.close()
    const { published, skipped } = cache.stats()
    expect(published + skipped).toBe(8)
    expect(published).toBeGreaterThanOrEqual(5)
    expect(s3.proxy.mostUploads).toBeLessThanOrEqual(2)
    expect(s3.proxy.mostUploads).toBeGreaterThan(0)
  })

  it('of one key are one while it is under way', async () => {
    const cache = await host.open(s3.endpoint)
    const [key, layer] = [newKey(), await host.layer(content(300_000))]
    for (let count = 0; count < 5; count += 1) cache.publish(key, layer)
    await cache.close()
    expect(cache.stats()).toMatchObject({ published: 1, skipped: 0 })
    expect(s3.proxy.paths('PUT')).toHaveLength(2)
  })

  it('that do not end are ended by close, which may be called again; later calls do nothing', async () => {
    const arrived = new Promise<void>((resolve) => {
      s3.proxy.fault = (method) => (method === 'PUT' ? () => resolve() : undefined)
    })
    const cache = await host.open(s3.endpoint, {}, { closeTimeoutMs: 50 })
    const [key, layer] = [newKey(), await host.layer(content(1000))]
    cache.publish(key, layer)
    await arrived
    await Promise.all([cache.close(), cache.close()])
    await cache.close()
    cache.publish(key, layer)
    expect(await cache.fetch(key, { file: host.newFile(), signal: SIGNAL })).toBeUndefined()
    expect(cache.stats()).toMatchObject({ published: 0, failed: 0 })
    expect(host.warnings).toEqual([])
    expect(await host.leftovers()).toEqual([expect.stringMatching(/^source-/)])
  })
})

describe('a fetch that its caller gives up', () => {
  it('ends at once with AbortedError, leaves no file, and says nothing about the store', async () => {
    const key = newKey()
    await publish(key, content(2 * MIB))
    const cache = await host.open(s3.endpoint)
    for (let count = 0; count < 5; count += 1) {
      const caller = new AbortController()
      s3.proxy.fault = (_method, path) =>
        path.endsWith('.zst')
          ? async (response, forward) => {
              const answer = await forward()
              response.writeHead(answer.status, answer.headers)
              response.write(answer.body.subarray(0, 600_000), () => caller.abort(new Error('enough')))
            }
          : undefined
      const error: unknown = await cache
        .fetch(key, { file: host.newFile(), signal: caller.signal })
        .catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(AbortedError)
      expect((error as AbortedError).cause).toEqual(new Error('enough'))
    }
    s3.proxy.fault = () => undefined
    expect(host.warnings).toEqual([])
    expect(await host.leftovers()).toEqual([expect.stringMatching(/^source-/)])
    expect(await fetched(cache, key)).toBeDefined()
  })
})

describe('the file of a fetch', () => {
  it('that has content is not touched', async () => {
    const key = newKey()
    await publish(key, content(1000))
    const cache = await host.open(s3.endpoint)
    const { file } = await host.layer(Buffer.from('precious'))
    expect(await cache.fetch(key, { file, signal: SIGNAL })).toBeUndefined()
    expect(await readFile(file, 'utf8')).toBe('precious')
    expect(host.warnings).toEqual([expect.stringMatching(/on this host.*got one with content/)])
  })

  it('that is there and empty is filled, and is empty again when that fails half way', async () => {
    const key = newKey()
    const original = content(MIB)
    await publish(key, original)
    const { file } = await host.layer(Buffer.alloc(0))
    const { ino } = await stat(file)
    const cache = await host.open(s3.endpoint)
    s3.proxy.fault = (_method, path) =>
      path.endsWith('.zst')
        ? async (response, forward) => {
            const { body } = await forward()
            response.writeHead(200)
            response.end(body.subarray(0, -1))
          }
        : undefined
    expect(await cache.fetch(key, { file, signal: SIGNAL })).toBeUndefined()
    expect(await stat(file)).toMatchObject({ ino, size: 0 })
    s3.proxy.fault = () => undefined
    expect(await cache.fetch(key, { file, signal: SIGNAL })).toBeDefined()
    expect((await readFile(file)).equals(original)).toBe(true)
    expect((await stat(file)).ino).toBe(ino)
  })

  it('has holes where the layer is empty', async () => {
    const key = newKey()
    const original = Buffer.alloc(20 * MIB)
    content(MIB).copy(original, 7 * MIB)
    await publish(key, original)
    const file = host.newFile()
    const cache = await host.open(s3.endpoint)
    expect(await cache.fetch(key, { file, signal: SIGNAL })).toMatchObject({ bytes: 20 * MIB })
    expect((await readFile(file)).equals(original)).toBe(true)
    expect((await stat(file)).blocks * 512).toBeLessThan(4 * MIB)
  })

  it('is not begun when there is no room, which is asked for once the size is known', async () => {
    const key = newKey()
    await publish(key, content(5000))
    const cache = await host.open(s3.endpoint)
    const asked: number[] = []
    const file = host.newFile()
    const room = async (bytes: number): Promise<void> => {
      asked.push(bytes)
      if (asked.length === 1) throw new Error('all is taken')
    }
    expect(await cache.fetch(key, { file, room, signal: SIGNAL })).toBeUndefined()
    expect(s3.proxy.paths('GET').filter((path) => path.endsWith('.zst'))).toEqual([])
    expect(host.warnings).toEqual([expect.stringMatching(/on this host.*all is taken/)])
    expect(await cache.fetch(key, { file, room, signal: SIGNAL })).toBeDefined()
    expect(asked).toEqual([5000, 5000])
  })
})
