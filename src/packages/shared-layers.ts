import type { Logger } from '../base/index.ts'
import type { ExchangedLayer, LayerExchange, LayerFetch } from '../layer/index.ts'
import { RemoteCache, type RemoteCacheOptions, type RemoteCacheStats } from '../remote/index.ts'

export interface SharedLayersOptions {
  readonly remoteCache: RemoteCacheOptions
  /** Where packed layers lie without a name while they are uploaded. Made when it is needed. */
  readonly workDirectory: string
  readonly logger: Logger
}

/**
 * The layers of other hosts. The remote cache is opened when a layer is missing here for the first time: whoever has all of
 * its layers loads no SDK.
 */
export class SharedLayers implements LayerExchange {
  readonly #options: SharedLayersOptions
  #opening: Promise<RemoteCache> | undefined
  #cache: RemoteCache | undefined

  constructor(options: SharedLayersOptions) {
    this.#options = options
  }

  /** @throws DependencyError when the SDK of S3 is not installed · AbortedError */
  async fetch(key: string, how: LayerFetch): Promise<ExchangedLayer | undefined> {
    const cache = await this.#open()
    return await cache.fetch(key, how)
  }

  /** Does nothing before the first fetch, which every layer that is made comes after. */
  publish(key: string, layer: ExchangedLayer & { readonly file: string }): void {
    this.#cache?.publish(key, layer)
  }

  /** Undefined before the first use. */
  stats(): RemoteCacheStats | undefined {
    return this.#cache?.stats()
  }

  /** Waits at most ten seconds for layers that are being published; the signal gives them up. Never throws. */
  async close(signal: AbortSignal | undefined): Promise<void> {
    const cache = await this.#opening?.catch(() => undefined)
    await cache?.close({ signal })
  }

  // A failure is not kept: the next one who needs it is told the same, or finds it mended.
  async #open(): Promise<RemoteCache> {
    const { remoteCache, workDirectory, logger } = this.#options
    this.#opening ??= RemoteCache.open(remoteCache, { workDirectory, logger }).catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    this.#cache = await this.#opening
    return this.#cache
  }
}
