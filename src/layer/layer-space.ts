import { type Logger, PackageError } from '../base/index.ts'
import { chooseEvictions, freeDiskBytes, type HostPaths, inOrderOfEviction } from '../host/index.ts'
import { layerEntries, type LayerSummary, listLayers } from './layer-list.ts'

export interface LayerSpaceOptions {
  readonly paths: HostPaths
  readonly limitBytes: number
  readonly logger: Logger
}

/** Bytes left free on the file system besides what a layer will take: it is not ours to fill. */
const RESERVE_BYTES = 64 * 2 ** 20

const MIB = 2 ** 20

/** What layers may take of the disk: evicts those that were not used for longest. */
export class LayerSpace {
  readonly #options: LayerSpaceOptions

  constructor(options: LayerSpaceOptions) {
    this.#options = options
  }

  /** Evicts until the layers fit the limit. @param keep key of a layer that stays in any case */
  async keepLimit(keep: string): Promise<void> {
    const { paths, limitBytes } = this.#options
    for (const layer of chooseEvictions(await listLayers(paths), { limitBytes, keep })) {
      await this.#evict(layer, 'the layers have reached their limit')
    }
  }

  /**
   * Evicts until the file system has so many bytes free, and some more.
   * @throws PackageError, retryable, when that is not to be had; then none was evicted
   */
  async makeRoom(bytes: number): Promise<void> {
    const { paths } = this.#options
    const needed = bytes + RESERVE_BYTES
    const candidates = [...inOrderOfEviction(await listLayers(paths))]
    for (;;) {
      const free = await freeDiskBytes(paths.layers)
      if (free >= needed) return
      const evictable = candidates.reduce((sum, candidate) => sum + candidate.bytes, 0)
      const [next] = candidates.splice(0, 1)
      if (next === undefined || free + evictable < needed) throw noSpace(paths.layers, { free, needed })
      await this.#evict(next, 'the file system is full')
    }
  }

  async #evict(layer: LayerSummary, reason: string): Promise<void> {
    const { paths, logger } = this.#options
    try {
      const bytes = (await layerEntries(paths).remove(layer.key)) ?? 0
      logger.info('a layer was evicted', { layer: layer.key, reason, mb: Math.round(bytes / MIB) })
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error)
      logger.warn('a layer cannot be evicted', { layer: layer.key, cause })
    }
  }
}

function noSpace(directory: string, bytes: { readonly free: number; readonly needed: number }): PackageError {
  const [free, needed] = [Math.floor(bytes.free / MIB), Math.ceil(bytes.needed / MIB)]
  return new PackageError(
    `No space for the installed packages: ${directory} has ${free} MB free and ${needed} MB are needed. Free some, e.g. with: sbx cache prune`,
    {},
    { retryable: true },
  )
}
