import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import type { ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { RemoteCacheLimits } from '../../src/remote/index.ts'
import { type Answer, type Fault, respond, xmlError } from './fault-proxy.ts'
import { content, Host, newKey, SIGNAL } from './remote-fixture.ts'
import { BUCKET, CREDENTIALS, setCredentials, startS3, type TestS3 } from './s3-server.ts'

/** Patience that tests of slow stores can afford; one that behaves stays far within it. */
const IMPATIENT: Partial<RemoteCacheLimits> = {
  fetch: { silenceMs: 1_500, windowMs: 800, windowBytes: 2_000, overallMs: 20_000 },
  upload: { silenceMs: 1_500, windowMs: 800, windowBytes: 2_000, overallMs: 20_000 },
}

const environment = { ...process.env }
const key = newKey()
const otherKey = newKey()
const original = content(700_000)
let s3: TestS3
let host: Host

beforeAll(async () => {
  setCredentials(CREDENTIALS)
  s3 = await startS3()
  await using publisher = await Host.make()
  const cache = await publisher.open(s3.endpoint)
  cache.publish(key, await publisher.layer(original))
  cache.publish(otherKey, await publisher.layer(content(700_000)))
  await cache.close()
  if (cache.stats().published !== 2) throw new Error(publisher.lines.join('\n'))
})
afterAll(async () => {
  process.env = environment
  await s3[Symbol.asyncDispose]()
})
beforeEach(async () => {
  setCredentials(CREDENTIALS)
  host = await Host.make()
  for (const method of ['debug', 'info', 'log', 'warn', 'error'] as const) {
    // The console is the user's.
    vi.spyOn(console, method).mockImplementation((...words) => host.lines.push(` WARN console: ${words.join(' ')}`))
  }
})
afterEach(async () => {
  vi.restoreAllMocks()
  s3.proxy.reset()
  await host[Symbol.asyncDispose]()
})

const onLayer = (fault: Fault) => (_method: string, path: string) => (path.endsWith('.zst') ? fault : undefined)
const onManifest = (fault: Fault) => (_method: string, path: string) =>
  path.endsWith('manifest.json') ? fault : undefined
const onAll = (fault: Fault) => () => fault

/** Changes what the server answers. */
const changed =
  (change: (body: Buffer) => Buffer): Fault =>
  async (response, forward) => {
    const answer = await forward()
    const body = change(answer.body)
    respond(response, { ...answer, headers: { ...answer.headers, 'content-length': String(body.length) }, body })
  }

/** The parts of a manifest that the tests lie about. */
interface Manifest {
  readonly layer: { readonly bytes: number }
  readonly packed: object
}

const changedManifest = (change: (manifest: Manifest) => unknown): Fault =>
  changed((body) => Buffer.from(JSON.stringify(change(JSON.parse(body.toString()) as Manifest))))

const answering =
  (answer: Answer): Fault =>
  (response) =>
    respond(response, answer)

const html: Answer = {
  status: 200,
  headers: { 'content-type': 'text/html' },
  body: Buffer.from('<!doctype html><title>Please log in</title>'),
}

/** Begins an answer that never ends, as fast as it is taken. */
const endless =
  (status: number, first = ''): Fault =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/xml' })
    response.write(first)
    const chunk = randomBytes(65_536)
    const pump = (): void => {
      while (!response.destroyed && response.write(chunk)) continue
    }
    response.on('drain', pump)
    pump()
  }

/** A byte now and then. */
const dripping: Fault = async (response, forward) => {
  const { status, headers, body } = await forward()
  response.writeHead(status, headers)
  let at = 0
  const timer = setInterval(() => response.write(body.subarray(at, (at += 1))), 50)
  response.once('close', () => clearInterval(timer))
}

const silent: Fault = () => undefined

const cutOff: Fault = async (response, forward) => {
  const { status, headers, body } = await forward()
  response.writeHead(status, headers)
  response.write(body.subarray(0, body.length / 2), () => response.socket?.destroy())
}

/** Fetches, and expects nothing but one warning. */
async function expectNothing(
  fault: (typeof s3)['proxy']['fault'],
  warning: RegExp,
  limits: Partial<RemoteCacheLimits> = {},
): Promise<void> {
  s3.proxy.fault = fault
  const cache = await host.open(s3.endpoint, {}, limits)
  expect(await cache.fetch(key, { file: host.newFile(), signal: SIGNAL })).toBeUndefined()
  expect(host.warnings).toEqual([expect.stringMatching(warning)])
  // Of the same kind there is no second one.
  expect(await cache.fetch(key, { file: host.newFile(), signal: SIGNAL })).toBeUndefined()
  expect(host.warnings).toHaveLength(1)
  expect(cache.stats()).toMatchObject({ hits: 0, failed: 2 })
  expect(await host.leftovers()).toEqual([])
  // And nothing of it stays behind: the same cache finds the layer when the store behaves again.
  s3.proxy.fault = () => undefined
  const file = host.newFile()
  expect(await cache.fetch(key, { file, signal: SIGNAL })).toBeDefined()
  expect((await readFile(file)).equals(original)).toBe(true)
}

const LYING = /gave something else/

describe('a store that lies is not believed:', () => {
  it.each<[string, (typeof s3)['proxy']['fault'], RegExp]>([
    ['a page of HTML instead of the manifest', onManifest(answering(html)), /not JSON/],
    ['a page of HTML instead of everything', onAll(answering(html)), /not JSON/],
    ['a page of HTML instead of the layer', onLayer(answering(html)), /shorter/],
    ['half a manifest', onManifest(changed((body) => body.subarray(0, body.length / 2))), /not JSON/],
    ['a manifest that is a number', onManifest(changed(() => Buffer.from('7'))), /manifest is none/],
    ['a manifest of another format', onManifest(changedManifest((m) => ({ ...m, format: 2 }))), /format/],
    ['a huge manifest', onManifest(changed(() => Buffer.alloc(1_100_000, ' '))), /more than 1048576/],
    ['a manifest without an end', onManifest(endless(200)), /more than 1048576/],
    [
      'the manifest of another key',
      onManifest(async (response, forward) => {
        const answer = await forward()
        const body = Buffer.from(answer.body.toString().replace(key, otherKey))
        respond(response, { ...answer, body })
      }),
      /another key/,
    ],
    [
      'another digest',
      onManifest(changedManifest((m) => ({ ...m, layer: { ...m.layer, sha256: '1'.repeat(64) } }))),
      /another digest/,
    ],
    [
      'a layer said to be smaller than it is',
      onManifest(changedManifest((m) => ({ ...m, layer: { ...m.layer, bytes: m.layer.bytes - 1 } }))),
      /damaged/,
    ],
    [
      'a layer said to be too large for any disk',
      onManifest(changedManifest((m) => ({ ...m, layer: { ...m.layer, bytes: 2 ** 50 } }))),
      /manifest is none/,
    ],
    [
      'a name that is a path',
      onManifest(changedManifest((m) => ({ ...m, packed: { ...m.packed, sha256: '../../../../etc/passwd' } }))),
      /manifest is none/,
    ],
    [
      'one byte of the layer changed',
      onLayer(changed((body) => flip(body, body.length / 2))),
      /damaged|another digest/,
    ],
    ['the layer cut short', onLayer(changed((body) => body.subarray(0, -1))), /bytes instead of/],
    ['the layer with more behind it', onLayer(changed((body) => Buffer.concat([body, body]))), /bytes instead of/],
    ['a layer without a length that has no end', onLayer(endless(200)), /damaged/],
    [
      'a layer without a length, cut short',
      onLayer(async (response, forward) => {
        const { body } = await forward()
        response.writeHead(200)
        response.end(body.subarray(0, body.length - 5))
      }),
      /shorter/,
    ],
    [
      'a layer without a length, with more behind it',
      onLayer(async (response, forward) => {
        const { body } = await forward()
        response.writeHead(200)
        response.end(Buffer.concat([body, Buffer.from('x')]))
      }),
      /longer/,
    ],
    ['a manifest whose layer is gone', onLayer(answering(xmlError(404, 'NoSuchKey'))), /without its layer/],
    ['an error without an end', onManifest(endless(500, '<Error>')), /more than 65536/],
  ])('%s', async (_name, fault, cause) => {
    await expectNothing(fault, LYING)
    expect(host.warnings.join()).toMatch(cause)
  })
})

describe('a response whose headers nobody can read', () => {
  it('does not keep its connection', async () => {
    let closed: Promise<unknown> | undefined
    s3.proxy.fault = onManifest((response) => {
      closed = once(response, 'close')
      response.writeHead(200, { 'last-modified': 'yesterday' })
      response.write('{')
    })
    const cache = await host.open(s3.endpoint)
    expect(await cache.fetch(key, { file: host.newFile(), signal: SIGNAL })).toBeUndefined()
    expect(host.warnings).toEqual([expect.stringMatching(/Invalid/)])
    await closed
  })
})

describe('a store that fails is done without:', () => {
  it.each<[string, (typeof s3)['proxy']['fault'], RegExp]>([
    ['500', onAll(answering(xmlError(500, 'InternalError'))), /remote cache fails.*InternalError/],
    ['503', onAll(answering(xmlError(503, 'SlowDown'))), /remote cache fails.*SlowDown/],
    ['503 without a word', onAll(answering({ status: 503, headers: {}, body: Buffer.alloc(0) })), /remote cache fails/],
    ['503 for the layer alone', onLayer(answering(xmlError(503, 'SlowDown'))), /remote cache fails/],
    ['403', onAll(answering(xmlError(403, 'AccessDenied'))), /refuses these credentials/],
    ['301', onAll(answering(xmlError(301, 'PermanentRedirect'))), /no such bucket in this region/],
    ['a connection closed at once', onAll((response) => void response.socket?.destroy()), /cannot be reached/],
    ['a connection cut in the manifest', onManifest(cutOff), /cannot be reached/],
    ['a connection cut in the layer', onLayer(cutOff), /cannot be reached/],
  ])('%s', async (_name, fault, warning) => {
    await expectNothing(fault, warning)
  })

  it.each<[string, (typeof s3)['proxy']['fault'], RegExp]>([
    ['no answer', onAll(silent), /too slow.*silent/],
    ['no answer for the layer', onLayer(silent), /too slow.*silent/],
    ['a byte now and then', onLayer(dripping), /too slow.*bytes in/],
    ['a byte of the manifest now and then', onManifest(dripping), /too slow.*bytes in/],
  ])('%s', async (_name, fault, warning) => {
    await expectNothing(fault, warning, IMPATIENT)
  })

  it('nobody listens', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    await expectRefused({ endpoint: `http://127.0.0.1:${port}` }, /cannot be reached.*ECONNREFUSED/)
  })

  it('what answers speaks no HTTP', async () => {
    const server = createServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await expectRefused({ endpoint: `http://127.0.0.1:${port}` }, /cannot be reached/)
    server.close()
  })

  it('the secret is wrong, as the server finds by the signature', async () => {
    setCredentials({ ...CREDENTIALS, secretAccessKey: 'wrong' })
    await expectRefused({}, /refuses these credentials.*SignatureDoesNotMatch/)
  })

  it('the access key is unknown', async () => {
    setCredentials({ ...CREDENTIALS, accessKeyId: 'NOBODY' })
    await expectRefused({}, /refuses these credentials.*InvalidAccessKeyId/)
  })

  it('there are no credentials', async () => {
    setCredentials(undefined)
    await expectRefused({}, /refuses these credentials.*CredentialsProviderError/)
  })

  it('the region is another', async () => {
    await expectRefused({ region: 'eu-central-1' }, /no such bucket in this region.*AuthorizationHeaderMalformed/)
  })

  it('there is no such bucket', async () => {
    await expectRefused({ bucket: 'nobodys-bucket' }, /no such bucket in this region.*NoSuchBucket/)
  })

  async function expectRefused(options: { endpoint?: string; region?: string; bucket?: string }, warning: RegExp) {
    const cache = await host.open(options.endpoint ?? s3.endpoint, options)
    expect(await cache.fetch(key, { file: host.newFile(), signal: SIGNAL })).toBeUndefined()
    cache.publish(newKey(), await host.layer(content(1000)))
    await cache.close()
    expect(cache.stats()).toMatchObject({ failed: 2, published: 0 })
    expect(host.warnings).toEqual([expect.stringMatching(warning)])
    expect(await host.leftovers()).toEqual([expect.stringMatching(/^source-/)])
  }
})

describe('a store that fails again and again', () => {
  it('is left alone', async () => {
    s3.proxy.fault = onAll(answering(xmlError(403, 'AccessDenied')))
    const cache = await host.open(s3.endpoint)
    for (let count = 0; count < 10; count += 1) {
      expect(await cache.fetch(key, { file: host.newFile(), signal: SIGNAL })).toBeUndefined()
    }
    expect(s3.proxy.seen).toHaveLength(3)
    expect(cache.stats()).toMatchObject({ failed: 3, skipped: 7 })
    cache.publish(newKey(), await host.layer(content(1000)))
    await cache.close()
    expect(s3.proxy.seen).toHaveLength(3)
    expect(host.warnings).toHaveLength(1)
    expect(host.lines.join('\n')).toMatch(/left alone for a while/)
  })
})

describe('an upload', () => {
  const onUpload = (fault: Fault) => (method: string) => (method === 'PUT' ? fault : undefined)
  const atFirst = (fault: Fault): Fault => {
    let done = false
    return async (response: ServerResponse, forward, path) => {
      if (done) return respond(response, await forward())
      done = true
      await fault(response, forward, path)
    }
  }

  it.each<[string, Fault]>([
    ['503', answering(xmlError(503, 'SlowDown'))],
    ['a reset', (response) => void response.socket?.destroy()],
  ])('is tried again after %s', async (_name, fault) => {
    s3.proxy.fault = onUpload(atFirst(fault))
    const cache = await host.open(s3.endpoint)
    const published = newKey()
    cache.publish(published, await host.layer(content(600_000)))
    await cache.close()
    expect(cache.stats()).toMatchObject({ published: 1, failed: 0 })
    expect(host.warnings).toEqual([])
    s3.proxy.fault = () => undefined
    const again = await host.open(s3.endpoint)
    expect(await again.fetch(published, { file: host.newFile(), signal: SIGNAL })).toBeDefined()
  })

  it.each<[string, Fault, RegExp]>([
    ['refused', answering(xmlError(403, 'AccessDenied')), /refuses these credentials/],
    ['never answered', silent, /too slow/],
    ['always failed', answering(xmlError(500, 'InternalError')), /remote cache fails/],
  ])('that is %s leaves nothing here and no manifest there', async (_name, fault, warning) => {
    s3.proxy.fault = onUpload(fault)
    const cache = await host.open(s3.endpoint, {}, IMPATIENT)
    const published = newKey()
    cache.publish(published, await host.layer(content(600_000)))
    await cache.close()
    expect(cache.stats()).toMatchObject({ published: 0, failed: 1 })
    expect(host.warnings).toEqual([expect.stringMatching(warning)])
    expect(await host.leftovers()).toEqual([expect.stringMatching(/^source-/)])
    s3.proxy.fault = () => undefined
    expect(await cache.fetch(published, { file: host.newFile(), signal: SIGNAL })).toBeUndefined()
  })

  it('that hangs is given up with the one who waits for the end of it', async () => {
    const hangs = vi.fn<Fault>()
    s3.proxy.fault = onUpload(hangs)
    const cache = await host.open(s3.endpoint, {}, { closeTimeoutMs: 2 ** 31 - 1 })
    cache.publish(newKey(), await host.layer(content(600_000)))
    await vi.waitUntil(() => hangs.mock.calls.length > 0, { timeout: 20_000 })
    await cache.close({ signal: AbortSignal.abort() })
    expect(cache.stats()).toMatchObject({ published: 0, failed: 0 })
    expect(host.warnings).toEqual([])
  })

  it('replaces an entry that a fetch found damaged', async () => {
    const damaged = newKey()
    const layer = await host.layer(original)
    const first = await host.open(s3.endpoint)
    first.publish(damaged, layer)
    await first.close()
    const cache = await host.open(s3.endpoint)
    s3.proxy.fault = onManifest(changed((body) => flip(body, 5)))
    expect(await cache.fetch(damaged, { file: host.newFile(), signal: SIGNAL })).toBeUndefined()
    s3.proxy.reset()
    cache.publish(damaged, layer)
    await cache.close()
    expect(s3.proxy.paths('PUT').filter((path) => path.startsWith(`/${BUCKET}/layers/v1/${damaged}/`))).toHaveLength(2)
  })
})

function flip(body: Buffer, at: number): Buffer {
  const copy = Buffer.from(body)
  const index = Math.floor(at)
  copy[index] = (copy[index] ?? 0) ^ 0x10
  return copy
}
