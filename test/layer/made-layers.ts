import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '../../src/base/index.ts'
import { type HostPaths, resolvePaths } from '../../src/host/index.ts'
import {
  type LayerExchange,
  type LayerFacts,
  type LayerSpec,
  LayerStore,
  type LayerWork,
} from '../../src/layer/index.ts'

// Layers with real files whose content is made up: what is tested is their keeping, and no VM gets them.

/** A cache directory of its own that is removed at the end, and the lines that its stores logged. */
export interface LayerCache extends AsyncDisposable {
  readonly directory: string
  readonly paths: HostPaths
  readonly lines: string[]
  store(options?: { readonly limitBytes?: number; readonly exchange?: LayerExchange }): LayerStore
}

export async function makeLayerCache(): Promise<LayerCache> {
  const directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-layers-'))
  const paths = resolvePaths({}, { cacheDir: join(directory, 'cache'), runtimeDir: join(directory, 'run') })
  const lines: string[] = []
  const logger = createLogger('debug', (line) => lines.push(line))
  return {
    directory,
    paths,
    lines,
    store: ({ limitBytes = 2 ** 40, exchange } = {}) => new LayerStore({ paths, limitBytes, exchange, logger }),
    [Symbol.asyncDispose]: async () => await rm(directory, { recursive: true, force: true }),
  }
}

export function layerSpec(changes: Partial<LayerSpec> = {}): LayerSpec {
  return { language: 'python', packages: ['pandas==2.2.3'], root: '0'.repeat(64), index: 'default', ...changes }
}

/** Fills the disk with so many bytes of a pattern that starts with the mark. */
export function makeDisk(mark: string, bytes = 40_000): (work: LayerWork) => Promise<LayerFacts> {
  return async ({ disk, room }) => {
    await room(bytes)
    await writeFile(disk, Buffer.alloc(bytes, `${mark};`))
    return { packages: [{ name: mark, version: '1.0' }], modules: [] }
  }
}

/** A promise and what resolves it. */
export function gate<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let settle: (value: T) => void = () => undefined
  const promise = new Promise<T>((resolve) => {
    settle = resolve
  })
  return { promise, resolve: (value) => settle(value) }
}

export const WAIT: { readonly signal: AbortSignal; readonly lockTimeoutMs: number } = {
  signal: new AbortController().signal,
  lockTimeoutMs: 60_000,
}
