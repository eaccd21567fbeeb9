import { lstat, readFile } from 'node:fs/promises'
import {
  allocatedBytes,
  EntryDirectory,
  type EvictionCandidate,
  type HostPaths,
  layerLockFile,
  layerPaths,
} from '../host/index.ts'
import { type LayerManifest, parseLayerManifest } from './layer-manifest.ts'

/** A layer of the cache as seen from outside: nothing of it was digested. */
export interface LayerSummary extends EvictionCandidate {
  readonly directory: string
  /** Undefined when it cannot be read; `problem` then says why, and the layer is useless. */
  readonly manifest: LayerManifest | undefined
  readonly problem: string | undefined
}

/** The layers of a cache. */
export function layerEntries(paths: HostPaths): EntryDirectory {
  return new EntryDirectory(paths.layers, (key) => layerLockFile(paths, key))
}

/** All layers of the cache, the one used last first. */
export async function listLayers(paths: HostPaths): Promise<readonly LayerSummary[]> {
  const keys = await layerEntries(paths).keys()
  const found = await Promise.all(keys.map(async (key) => await summarize(paths, key)))
  return found
    .filter((summary) => summary !== undefined)
    .toSorted((left, right) => right.lastUsedAt - left.lastUsedAt || (left.key < right.key ? -1 : 1))
}

async function summarize(paths: HostPaths, key: string): Promise<LayerSummary | undefined> {
  const { directory, manifest: file } = layerPaths(paths, key)
  const status = await lstat(file).catch(() => lstat(directory).catch(() => undefined))
  // Removed by another process since the directory was read.
  if (status === undefined) return undefined
  const parsed = await readFile(file, 'utf8').then(
    (text) => parseLayerManifest(text, key),
    (error: unknown) => ({ ok: false, reason: error instanceof Error ? error.message : String(error) }) as const,
  )
  return {
    key,
    directory,
    bytes: await allocatedBytes(directory),
    // A time to come, after the clock was set back, would keep a layer from ever being evicted.
    lastUsedAt: Math.min(status.mtimeMs, Date.now()),
    useless: !parsed.ok,
    manifest: parsed.ok ? parsed.manifest : undefined,
    problem: parsed.ok ? undefined : parsed.reason,
  }
}
