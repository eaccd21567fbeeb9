import { type Logger, throwIfAborted, untilAborted } from '../base/index.ts'
import { freeDiskBytes } from '../host/index.ts'
import { type Breaker, CLOSED_BREAKER, enter, FAILURES, type Outcome, PAUSE_MS, report } from './breaker.ts'
import { LARGEST_LAYER_BYTES } from './entry-manifest.ts'
import { fetchManifest } from './fetch-manifest.ts'
import { assertLayerKey, ObjectKeys } from './object-keys.ts'
import type { ObjectStore } from './object-store.ts'
import type { LayerFile } from './pack-layer.ts'
import type { PaceLimits } from './pace.ts'
import type { RemoteCacheOptions } from './remote-cache-options.ts'
import { S3ObjectStore } from './s3-object-store.ts'
import { FAILURE_WORDS, type FailureKind, storeFailure, StoreFailure } from './store-failure.ts'
import { Transfer } from './transfer.ts'
import { unpackLayer } from './unpack-layer.ts'
import { uploadLayer } from './upload-layer.ts'
import { UploadQueue } from './upload-queue.ts'

/** A layer of the store: that is what its manifest says, and when it has been fetched, what its file is. */
export interface RemoteLayer {
  readonly sha256: string
  readonly bytes: number
  /** What was published as `manifest`: JSON of a stranger, to be checked with a schema. */
  readonly manifest: Readonly<Record<string, unknown>>
}

/** A layer to be published. The file is not written any more; it may be unlinked, and is then not published. */
export interface LayerToPublish extends LayerFile {
  /** What the layer says about itself, a JSON object of at most 768 KiB. */
  readonly manifest: Readonly<Record<string, unknown>>
}

export interface FetchOptions {
  /** Path of the file: missing, then it is made with mode 0600, or there and empty. Its directory exists. */
  readonly file: string
  /** A layer that is larger counts as missing. @default 4 GiB */
  readonly maxBytes?: number
  /** Sees to it that so many bytes can be written; throws when not. @default asks the file system what is free */
  readonly room?: (bytes: number) => Promise<void>
  /**
   * Looks at what is offered before it is fetched: says what is wrong with it, then the entry counts as damaged.
   * @default everything is right
   */
  readonly check?: (offered: RemoteLayer) => string | undefined
}

/** What a remote cache has done since it was opened. */
export interface RemoteCacheStats {
  readonly hits: number
  readonly misses: number
  /** Layers uploaded; those that were there already do not count. */
  readonly published: number
  /** Fetches and uploads that failed, and those that were not tried because the store is left alone. */
  readonly failed: number
  readonly skipped: number
}

export interface RemoteCacheContext {
  /** Where packed layers lie without a name while they are uploaded. Made when it is needed. */
  readonly workDirectory: string
  readonly logger: Logger
  /** @default REMOTE_CACHE_LIMITS */
  readonly limits?: RemoteCacheLimits
}

export interface RemoteCacheLimits {
  readonly fetch: PaceLimits
  readonly upload: PaceLimits
  /** Milliseconds that `close` waits for uploads. */
  readonly closeTimeoutMs: number
  /** Uploads at once: each packs with one processor. */
  readonly uploads: number
  /** Uploads that wait; further layers are not published. */
  readonly waitingUploads: number
}

/**
 * A fetch slower than 64 KiB/s costs more time than it saves. Uploads are in nobody's way, but hold a file and a
 * connection.
 */
export const REMOTE_CACHE_LIMITS: RemoteCacheLimits = {
  fetch: { silenceMs: 15_000, windowMs: 10_000, windowBytes: 640 * 1024, overallMs: 600_000 },
  upload: { silenceMs: 30_000, windowMs: 30_000, windowBytes: 960 * 1024, overallMs: 1_800_000 },
  closeTimeoutMs: 10_000,
  uploads: 2,
  waitingUploads: 32,
}

/** Bytes of the disk that a fetch leaves free. */
const SPARE_DISK_BYTES = 64 * 2 ** 20

/**
 * Layers that hosts share through an object store. Nothing here is needed: a store that is down, slow or lying costs one
 * warning of each kind and a little time, and everything goes on as without it. What the store gives is believed only as
 * far as its digest goes; who may write to the bucket decides what a layer holds (docs/remote-cache.md).
 */
export class RemoteCache implements AsyncDisposable {
  readonly #store: ObjectStore
  readonly #keys: ObjectKeys
  readonly #context: RemoteCacheContext
  readonly #limits: RemoteCacheLimits
  readonly #uploads: UploadQueue
  readonly #closing = new AbortController()
  readonly #told = new Set<FailureKind>()
  /** Entries that were found to be damaged: they are published anew although they exist. */
  readonly #damaged = new Set<string>()
  readonly #counts = { hits: 0, misses: 0, published: 0, failed: 0, skipped: 0 }
  #breaker: Breaker = CLOSED_BREAKER
  #closed: Promise<void> | undefined

  /**
   * Opens the cache that the options name. The store is not asked anything before the first use.
   * @param options as `remoteCacheOptionsSchema` has checked them
   * @throws DependencyError when the SDK of S3 is not installed
   */
  static async open(options: RemoteCacheOptions, context: RemoteCacheContext): Promise<RemoteCache> {
    return new RemoteCache(await S3ObjectStore.open(options), new ObjectKeys(options.prefix ?? ''), context)
  }

  private constructor(store: ObjectStore, keys: ObjectKeys, context: RemoteCacheContext) {
    this.#store = store
    this.#keys = keys
    this.#context = context
    this.#limits = context.limits ?? REMOTE_CACHE_LIMITS
    this.#uploads = new UploadQueue({ concurrency: this.#limits.uploads, capacity: this.#limits.waitingUploads })
  }

  /**
   * Fetches the layer of a key into a file, checked. Undefined when there is none, and whenever something is wrong with the
   * store or the disk: the file is then as it was before.
   * @param key 16–64 hexadecimal digits
   * @throws AbortedError; TypeError for a key that is none
   */
  async fetch(key: string, options: FetchOptions & { readonly signal: AbortSignal }): Promise<RemoteLayer | undefined> {
    assertLayerKey(key)
    throwIfAborted(options.signal)
    if (this.#closing.signal.aborted || !this.#admitted(key)) return undefined
    const callers = [options.signal, this.#closing.signal]
    using transfer = new Transfer(this.#limits.fetch, callers)
    try {
      const layer = await this.#fetch(key, options, transfer)
      this.#report('answered')
      this.#counts[layer === undefined ? 'misses' : 'hits'] += 1
      return layer
    } catch (error) {
      this.#failed(key, error, transfer, callers)
      throwIfAborted(options.signal)
      return undefined
    }
  }

  /**
   * Publishes a layer in the background, unless the store has it. Returns at once: what goes wrong is logged,
   * never thrown. Where more layers wait than may, this one is not published.
   * @throws TypeError for a key that is none
   */
  publish(key: string, layer: LayerToPublish): void {
    assertLayerKey(key)
    const answer = this.#uploads.add(key, async (closing) => await this.#publish(key, layer, closing))
    if (answer === 'full') {
      this.#counts.skipped += 1
      this.#context.logger.info('a layer is not published: too many are waiting', { layer: key })
    }
  }

  stats(): RemoteCacheStats {
    return { ...this.#counts }
  }

  /**
   * Ends fetches, waits a bounded time for uploads, ends them, closes the connections. Never throws; joins a close in progress.
   * @param options.signal gives the uploads up at once
   */
  async close(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    this.#closed ??= this.#close(options.signal)
    await this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(signal: AbortSignal | undefined): Promise<void> {
    this.#closing.abort(new Error('the remote cache is closed'))
    await this.#uploads.close({ timeoutMs: this.#limits.closeTimeoutMs, signal })
    this.#store.close()
  }

  async #fetch(key: string, options: FetchOptions, transfer: Transfer): Promise<RemoteLayer | undefined> {
    const name = this.#keys.manifest(key)
    const manifest = await fetchManifest(this.#store, { name, layerKey: key, transfer })
    if (manifest === undefined) return undefined
    const { layer, packed } = manifest
    if (layer.bytes > (options.maxBytes ?? LARGEST_LAYER_BYTES)) return undefined
    const found = { sha256: layer.sha256, bytes: layer.bytes, manifest: manifest.own }
    const problem = options.check?.(found)
    if (problem !== undefined) throw new StoreFailure('lying', problem.slice(0, 300))
    const { signal } = transfer
    await transfer.pausedWhile(untilAborted(makeRoom(options, layer.bytes), signal))
    const object = await this.#store.get(this.#keys.packed(key, packed.sha256), { signal })
    if (object === undefined) throw new StoreFailure('lying', 'a manifest without its layer')
    if (object.bytes !== undefined && object.bytes !== packed.bytes) {
      object.body.destroy()
      throw new StoreFailure('lying', `a layer of ${object.bytes} bytes instead of ${packed.bytes}`)
    }
    await unpackLayer(object.body, { manifest, file: options.file, onBytes: (bytes) => transfer.moved(bytes) })
    return found
  }

  async #publish(key: string, layer: LayerToPublish, closing: AbortSignal): Promise<void> {
    if (!this.#admitted(key)) return
    using transfer = new Transfer(this.#limits.upload, [closing])
    try {
      const uploaded = await uploadLayer(layer, {
        key,
        keys: this.#keys,
        store: this.#store,
        transfer,
        directory: this.#context.workDirectory,
        replace: this.#damaged.has(key),
      })
      this.#report('answered')
      this.#damaged.delete(key)
      if (!uploaded) return
      this.#counts.published += 1
      this.#context.logger.info('a layer was published', { layer: key, bytes: layer.bytes })
    } catch (error) {
      this.#failed(key, error, transfer, [closing])
    }
  }

  #admitted(key: string): boolean {
    const { admitted, breaker } = enter(this.#breaker, performance.now())
    this.#breaker = breaker
    if (!admitted) {
      this.#counts.skipped += 1
      this.#context.logger.debug('the remote cache is left alone for now', { layer: key })
    }
    return admitted
  }

  #report(outcome: Outcome): void {
    const wasOpen = this.#breaker.openUntilMs !== undefined
    this.#breaker = report(this.#breaker, outcome, performance.now())
    if (this.#breaker.openUntilMs !== undefined && !wasOpen) {
      const fields = { failures: FAILURES, seconds: PAUSE_MS / 1000 }
      this.#context.logger.info('the remote cache is left alone for a while', fields)
    }
  }

  /** Books what went wrong. The reason of the transfer's end comes before the errors that followed from it. */
  #failed(key: string, error: unknown, transfer: Transfer, callers: readonly AbortSignal[]): void {
    if (callers.some((caller) => caller.aborted)) {
      this.#report('abandoned')
      return
    }
    const failure = storeFailure(transfer.signal.aborted ? transfer.signal.reason : error)
    this.#counts.failed += 1
    if (failure.kind === 'lying') this.#noteDamaged(key)
    // A full disk here says nothing about the store.
    this.#report(failure.kind === 'local' ? 'abandoned' : 'failed')
    const { kind } = failure
    const level = this.#told.has(kind) ? 'debug' : 'warn'
    this.#told.add(kind)
    this.#context.logger[level](FAILURE_WORDS[kind], { layer: key, cause: failure.message })
  }

  #noteDamaged(key: string): void {
    // A store that lies about everything must not fill our memory with its keys.
    if (this.#damaged.size < 1_024) this.#damaged.add(key)
  }
}

async function makeRoom({ file, room }: FetchOptions, bytes: number): Promise<void> {
  try {
    if (room !== undefined) await room(bytes)
    else if ((await freeDiskBytes(file)) < bytes + SPARE_DISK_BYTES) throw new Error('the disk is full')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new StoreFailure('local', `no room for a layer of ${bytes} bytes: ${why}`, { cause: error })
  }
}
