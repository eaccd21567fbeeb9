import { utimes, writeFile } from 'node:fs/promises'
import { errnoOf, type Logger, PackageError, SharedWork, throwIfAborted } from '../base/index.ts'
import {
  EntryDirectory,
  fileIdentity,
  FileLock,
  type HostPaths,
  layerLockFile,
  type LayerPaths,
  layerPaths,
  layerPathsIn,
  removeDirectory,
} from '../host/index.ts'
import { fetchLayer } from './fetch-layer.ts'
import { checkLayer } from './layer-check.ts'
import type { LayerExchange } from './layer-exchange.ts'
import { LAYER_FORMAT, layerKey, type LayerSpec } from './layer-key.ts'
import { layerEntries, type LayerSummary, listLayers } from './layer-list.ts'
import { type InstalledPackage, type LayerManifest, renderLayerManifest } from './layer-manifest.ts'
import { LayerSpace } from './layer-space.ts'
import { PUBLISHED_MODE, sealDisk } from './seal-disk.ts'

/** A published layer. Its disk is never written again; it may be unlinked while VMs use it. */
export interface Layer {
  readonly key: string
  /** The disk's file, and its SHA-256. */
  readonly file: string
  readonly digest: string
  readonly manifest: LayerManifest
}

/** What whoever makes a layer gets. */
export interface LayerWork {
  /** The file to write: it exists and is empty. */
  readonly disk: string
  /** Sees to it that so many bytes can be written. @throws PackageError, retryable, when not */
  readonly room: (bytes: number) => Promise<void>
  /** Aborted when nobody waits for the layer any more. */
  readonly signal: AbortSignal
}

/** What whoever made a layer knows of it. */
export interface LayerFacts {
  readonly packages: readonly InstalledPackage[]
  /** Top-level modules of those that were asked for. */
  readonly modules: readonly string[]
}

export interface LayerStoreOptions {
  readonly paths: HostPaths
  /** Bytes that all layers may take of the file system. The one that was made last stays in any case. */
  readonly limitBytes: number
  /** Where a layer is looked for before it is made, and offered afterwards. @default nowhere */
  readonly exchange?: LayerExchange | undefined
  readonly logger: Logger
}

export interface BuildLayerOptions {
  readonly signal: AbortSignal
  /** Milliseconds to wait for another process that makes the same layer. */
  readonly lockTimeoutMs: number
}

/**
 * The layers of a cache directory, shared with all other processes that use it: disks with installed packages, by what was asked
 * for. How one is checked, published and removed: docs/packages.md.
 */
export class LayerStore {
  readonly #paths: HostPaths
  readonly #logger: Logger
  readonly #entries: EntryDirectory
  readonly #space: LayerSpace
  readonly #exchange: LayerExchange | undefined
  readonly #builds = new Map<string, SharedWork<Layer>>()
  /** Work that is going on, also where nobody waits for it any more: it still clears up behind itself. */
  readonly #working = new Set<Promise<unknown>>()
  /** Layers that this process has seen to be good, for as long as their disks stay the same. */
  readonly #known = new Map<string, { readonly layer: Layer; readonly identity: string }>()

  constructor(options: LayerStoreOptions) {
    this.#paths = options.paths
    this.#logger = options.logger
    this.#entries = layerEntries(options.paths)
    this.#space = new LayerSpace(options)
    this.#exchange = options.exchange
  }

  /**
   * The layer of a key, checked. One that is damaged or foreign is removed and its reason logged; the answer is then
   * undefined, as when there is none. Notes the use.
   * @throws AbortedError, and nothing else
   */
  async open(key: string, signal: AbortSignal): Promise<Layer | undefined> {
    throwIfAborted(signal)
    const paths = layerPaths(this.#paths, key)
    const known = this.#known.get(key)
    if (known !== undefined && (await identityOf(paths)) === known.identity) {
      await noteUse(paths)
      return known.layer
    }
    this.#known.delete(key)
    const verdict = await checkLayer(paths, key, signal)
    if (verdict.kind === 'good') {
      const { manifest, identity } = verdict
      const layer = Object.freeze({ key, file: paths.disk, digest: manifest.disk.sha256, manifest })
      this.#known.set(key, { layer, identity })
      await noteUse(paths)
      return layer
    }
    if (verdict.kind === 'unknown') {
      this.#logger.warn('a layer cannot be looked at', { layer: key, cause: verdict.reason })
    } else if (verdict.kind === 'damaged') {
      this.#logger.warn('a layer is damaged and is removed', { layer: key, reason: verdict.reason })
      await this.#entries.remove(key, verdict.inode).catch((error: unknown) => {
        this.#logger.warn('a layer cannot be removed', { layer: key, cause: String(error) })
      })
    }
    return undefined
  }

  /**
   * The layer of a spec, fetched or made if there is none: once, by one process at a time, while all others wait and then find it.
   * Who waits may give up alone; the work stops when nobody waits for it.
   * @param make fills the disk; it may not be called at all
   * @throws what `make` and the exchange throw · PackageError when the cache cannot take it · AbortedError. Nothing half made stays.
   */
  async build(
    spec: LayerSpec,
    make: (work: LayerWork) => Promise<LayerFacts>,
    options: BuildLayerOptions,
  ): Promise<Layer> {
    const key = layerKey(spec)
    let build = this.#builds.get(key)
    if (build === undefined || build.abandoned) {
      const started = new SharedWork(async (signal) => {
        const work = this.#buildUnderLock(spec, key, make, { ...options, signal })
        this.#working.add(work)
        try {
          return await work
        } finally {
          this.#working.delete(work)
          if (this.#builds.get(key) === started) this.#builds.delete(key)
        }
      })
      build = started
      this.#builds.set(key, build)
    }
    return await build.join(options.signal)
  }

  /** Resolves when what was given up has left nothing. Never throws. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#working)
  }

  /** All layers of the cache, the one used last first. Digests nothing. */
  async list(): Promise<readonly LayerSummary[]> {
    return await listLayers(this.#paths)
  }

  /**
   * Removes the layers that `choose` picks, and what dead builders have left.
   * @throws the system's error when a layer cannot be removed
   */
  async prune(
    choose: (layers: readonly LayerSummary[]) => readonly LayerSummary[],
  ): Promise<{ readonly removed: readonly LayerSummary[]; readonly freedBytes: number }> {
    let { bytes: freedBytes } = await this.#entries.sweep()
    const removed: LayerSummary[] = []
    for (const layer of choose(await this.list())) {
      const bytes = await this.#entries.remove(layer.key)
      if (bytes === undefined) continue
      removed.push(layer)
      freedBytes += bytes
    }
    return { removed, freedBytes }
  }

  async #buildUnderLock(
    spec: LayerSpec,
    key: string,
    make: (work: LayerWork) => Promise<LayerFacts>,
    options: BuildLayerOptions,
  ): Promise<Layer> {
    const { signal, lockTimeoutMs } = options
    await this.#writable(async () => await this.#entries.make())
    await using _lock = await FileLock.acquire(layerLockFile(this.#paths, key), {
      timeoutMs: lockTimeoutMs,
      onTimeout: () =>
        new PackageError(
          `Another process has been installing the same packages for ${lockTimeoutMs / 1000} s`,
          {},
          { retryable: true },
        ),
      signal,
    })
    const published = await this.open(key, signal)
    if (published !== undefined) return published
    // What cannot be swept is in nobody's way.
    await this.#entries.sweep(key).catch(() => undefined)
    const directory = await this.#writable(async () => await this.#entries.makeWork(key))
    let fetched: LayerManifest | undefined
    try {
      const files = layerPathsIn(directory)
      await this.#writable(async () => await writeFile(files.disk, '', { mode: 0o600 }))
      const room = async (bytes: number): Promise<void> => await this.#space.makeRoom(bytes)
      const work = { disk: files.disk, room, signal }
      if (this.#exchange !== undefined) fetched = await fetchLayer(this.#exchange, { key, files, work })
      const manifest = fetched ?? (await makeLayer(make, { spec, key, files, work }))
      await this.#writable(async () => {
        await writeFile(files.manifest, renderLayerManifest(manifest), { mode: PUBLISHED_MODE, flush: true })
      })
      throwIfAborted(signal)
      await this.#entries.publish(key, directory)
      await this.#space.keepLimit(key)
    } finally {
      // After it was published there is nothing here any more.
      await removeDirectory(directory).catch(() => undefined)
    }
    const layer = await this.open(key, signal)
    if (layer !== undefined) {
      const { manifest, file } = layer
      if (fetched !== undefined) this.#logger.info('a layer was fetched', { layer: key, bytes: manifest.disk.size })
      else this.#exchange?.publish(key, { file, sha256: layer.digest, bytes: manifest.disk.size, manifest })
      return layer
    }
    throw new PackageError('The packages were installed and then removed by another process', {}, { retryable: true })
  }

  async #writable<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const code = errnoOf(error)
      if (code === undefined) throw error
      const full = ['ENOSPC', 'EDQUOT'].includes(code)
      throw new PackageError(
        `Installed packages cannot be kept: ${this.#paths.layers} ${full ? 'is full' : `cannot be written (${code})`}`,
        {},
        { retryable: full, cause: error },
      )
    }
  }
}

async function makeLayer(
  make: (work: LayerWork) => Promise<LayerFacts>,
  what: {
    readonly spec: LayerSpec
    readonly key: string
    readonly files: LayerPaths
    readonly work: LayerWork
  },
): Promise<LayerManifest> {
  const { spec, key, files, work } = what
  const startedAt = performance.now()
  const facts = await make(work)
  throwIfAborted(work.signal)
  const disk = await sealDisk(files, work.signal)
  return {
    format: LAYER_FORMAT,
    key,
    spec: { ...spec, packages: [...spec.packages] },
    createdAt: new Date().toISOString(),
    installMs: performance.now() - startedAt,
    disk,
    packages: [...facts.packages],
    modules: [...facts.modules],
  }
}

async function identityOf(paths: LayerPaths): Promise<string | undefined> {
  return await fileIdentity(paths.disk).catch(() => undefined)
}

// Best effort: in a cache that cannot be written, nothing is evicted either.
async function noteUse(paths: LayerPaths): Promise<void> {
  const now = new Date()
  await utimes(paths.manifest, now, now).catch(() => undefined)
}
