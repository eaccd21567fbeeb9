import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { throwIfAborted } from '../base/index.ts'
import { type EntryManifest, renderEntryManifest } from './entry-manifest.ts'
import { fetchManifest } from './fetch-manifest.ts'
import type { ObjectKeys } from './object-keys.ts'
import type { NewObject, ObjectStore } from './object-store.ts'
import { type LayerFile, packLayer } from './pack-layer.ts'
import { type FailureKind, StoreFailure, storeFailure } from './store-failure.ts'
import type { Transfer } from './transfer.ts'

/** Milliseconds before each further try of an upload: the SDK does not send a stream twice. */
const PAUSES_MS: readonly number[] = [500, 2_000]

/** What may be over a moment later. */
const PASSING: readonly FailureKind[] = ['unreachable', 'failing']

export interface UploadOptions {
  readonly key: string
  readonly keys: ObjectKeys
  readonly store: ObjectStore
  readonly transfer: Transfer
  /** Where the packed layer lies while it is uploaded. */
  readonly directory: string
  /** Whether to write what is there already. */
  readonly replace: boolean
}

/** Uploads a layer, its manifest last. False when the store had it. */
export async function uploadLayer(
  layer: LayerFile & { readonly manifest: Readonly<Record<string, unknown>> },
  options: UploadOptions,
): Promise<boolean> {
  const { key, keys, transfer, directory, replace } = options
  const { signal } = transfer
  if (!replace && (await isStored(options))) return false
  // Packing is our own affair: the store is not silent meanwhile.
  await using packed = await transfer.pausedWhile(packLayer(layer, { directory, signal }))
  const manifest = Buffer.from(
    renderOwn({
      key,
      createdAt: new Date().toISOString(),
      layer: { sha256: layer.sha256, bytes: layer.bytes },
      packed: { sha256: packed.sha256, bytes: packed.bytes, frames: [...packed.frames] },
      own: { ...layer.manifest },
    }),
  )
  await put(keys.packed(key, packed.sha256), options, {
    bytes: packed.bytes,
    sha256: packed.sha256,
    contentType: 'application/zstd',
    body: () => {
      let left = packed.bytes
      return packed.read((bytes) => {
        left -= bytes
        transfer.moved(bytes)
        if (left === 0) transfer.waiting()
      })
    },
  })
  await put(keys.manifest(key), options, {
    bytes: manifest.byteLength,
    sha256: createHash('sha256').update(manifest).digest('hex'),
    contentType: 'application/json',
    body: () => manifest,
  })
  return true
}

/** Whether the store has the layer. What is no manifest may be written over. */
async function isStored({ key, keys, store, transfer }: UploadOptions): Promise<boolean> {
  try {
    const name = keys.manifest(key)
    return (await fetchManifest(store, { name, layerKey: key, transfer })) !== undefined
  } catch (error) {
    if (error instanceof StoreFailure && error.kind === 'lying') return false
    throw error
  }
}

function renderOwn(parts: Omit<EntryManifest, 'format'>): string {
  try {
    return renderEntryManifest(parts)
  } catch (error) {
    throw new StoreFailure('local', error instanceof Error ? error.message : String(error), { cause: error })
  }
}

async function put(name: string, options: UploadOptions, object: NewObject): Promise<void> {
  const { store, transfer } = options
  const { signal } = transfer
  for (const pauseMs of [...PAUSES_MS, undefined]) {
    try {
      transfer.waiting()
      await store.put(name, object, { signal })
      return
    } catch (error) {
      throwIfAborted(signal)
      if (pauseMs === undefined || !PASSING.includes(storeFailure(error).kind)) throw error
      // Not all at once: whoever was refused was refused together with others.
      await transfer.pausedWhile(pause(pauseMs * (0.5 + Math.random()), undefined, { signal }))
    }
  }
}
