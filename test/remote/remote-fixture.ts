import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '../../src/base/index.ts'
import {
  type LayerToPublish,
  RemoteCache,
  REMOTE_CACHE_LIMITS,
  type RemoteCacheLimits,
  type RemoteCacheOptions,
} from '../../src/remote/index.ts'
import { BUCKET } from './s3-server.ts'

/** A cache directory of one host, and the remote caches opened for it. */
export class Host implements AsyncDisposable {
  readonly directory: string
  /** Log lines, of all levels. */
  readonly lines: string[] = []
  readonly #caches: RemoteCache[] = []
  #files = 0

  static async make(): Promise<Host> {
    return new Host(await mkdtemp(join(tmpdir(), 'exec-sandbox-remote-')))
  }

  private constructor(directory: string) {
    this.directory = directory
  }

  async open(endpoint: string, options: Partial<RemoteCacheOptions> = {}, limits: Partial<RemoteCacheLimits> = {}) {
    const cache = await RemoteCache.open(
      { bucket: BUCKET, endpoint, ...options },
      {
        workDirectory: join(this.directory, 'work'),
        logger: createLogger('debug', (line) => this.lines.push(line)),
        limits: { ...REMOTE_CACHE_LIMITS, ...limits },
      },
    )
    this.#caches.push(cache)
    return cache
  }

  get warnings(): string[] {
    return this.lines.filter((line) => line.includes(' WARN '))
  }

  /** Path of a file that does not exist yet. */
  newFile(): string {
    this.#files += 1
    return join(this.directory, `layer-${this.#files}`)
  }

  /** Names of what is in the directory and in its work directory. */
  async leftovers(): Promise<string[]> {
    const names = await readdir(this.directory, { recursive: true })
    return names.filter((name) => name !== 'work').toSorted()
  }

  async layer(bytes: Uint8Array, manifest: Record<string, unknown> = {}): Promise<LayerToPublish> {
    const file = join(this.directory, `source-${randomBytes(4).toString('hex')}`)
    await writeFile(file, bytes)
    return { file, sha256: sha256(bytes), bytes: bytes.byteLength, manifest }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const cache of this.#caches) await cache.close()
    await rm(this.directory, { recursive: true })
  }
}

/** Bytes that compress somewhat, like those of a layer. */
export function content(bytes: number): Buffer {
  const noise = randomBytes(Math.ceil(bytes / 2))
  const text = Buffer.alloc(bytes, 'import sandbox\n')
  for (let at = 0; at < bytes; at += 8192) noise.copy(text, at, at / 2, Math.min(at / 2 + 4096, noise.length))
  return text
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function newKey(): string {
  return randomBytes(10).toString('hex')
}

/** Of a caller that never gives up. */
export const SIGNAL: AbortSignal = new AbortController().signal
