import { type EntryManifest, LARGEST_MANIFEST_BYTES, parseEntryManifest } from './entry-manifest.ts'
import type { ObjectStore } from './object-store.ts'
import { readBounded } from './read-bounded.ts'
import { StoreFailure } from './store-failure.ts'
import type { Transfer } from './transfer.ts'

/**
 * The manifest of a layer's entry, or undefined when the store has none.
 * @param name of the object
 * @throws StoreFailure `lying` when what is stored there is no manifest of this layer; what the store throws
 */
export async function fetchManifest(
  store: ObjectStore,
  options: { readonly name: string; readonly layerKey: string; readonly transfer: Transfer },
): Promise<EntryManifest | undefined> {
  const { transfer } = options
  const object = await store.get(options.name, { signal: transfer.signal })
  if (object === undefined) return undefined
  const bytes = await readBounded(object, {
    limitBytes: LARGEST_MANIFEST_BYTES,
    onBytes: (count) => transfer.moved(count),
  })
  transfer.waiting()
  const parsed = parseEntryManifest(Buffer.from(bytes).toString('utf8'), options.layerKey)
  if (!parsed.ok) throw new StoreFailure('lying', parsed.why)
  return parsed.manifest
}
