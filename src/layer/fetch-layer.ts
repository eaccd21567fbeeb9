import { PackageError, throwIfAborted } from '../base/index.ts'
import type { LayerPaths } from '../host/index.ts'
import type { ExchangedLayer, LayerExchange, LayerFetch } from './layer-exchange.ts'
import { checkLayerManifest, type LayerManifest, type LayerManifestResult } from './layer-manifest.ts'
import { sealDisk } from './seal-disk.ts'

/**
 * Fetches the layer of a key into the files of one that is being made, and makes its disk final. Undefined when it is not to be
 * had; the disk is then as empty as it was.
 * @throws what the exchange throws · PackageError, retryable, when the disk is not what was fetched · AbortedError
 */
export async function fetchLayer(
  exchange: LayerExchange,
  what: {
    readonly key: string
    readonly files: LayerPaths
    readonly work: { readonly disk: string } & Pick<LayerFetch, 'room' | 'signal'>
  },
): Promise<LayerManifest | undefined> {
  const { key, files, work } = what
  const layer = await exchange.fetch(key, {
    file: work.disk,
    room: work.room,
    check: (offered) => {
      const judged = judge(offered, key)
      return judged.ok ? undefined : judged.reason
    },
    signal: work.signal,
  })
  throwIfAborted(work.signal)
  if (layer === undefined) return undefined
  const judged = judge(layer, key)
  if (!judged.ok) throw new TypeError(`a layer was fetched although ${judged.reason}`)
  const { manifest } = judged
  const { size, sha256 } = await sealDisk(files, work.signal)
  if (size === manifest.disk.size && sha256 === manifest.disk.sha256) return manifest
  throw new PackageError('The fetched packages were damaged on the disk', {}, { retryable: true })
}

/** Whether what is offered is the layer of this key: its manifest is a stranger's, and so is what that says of the disk. */
function judge({ manifest: value, sha256, bytes }: ExchangedLayer, key: string): LayerManifestResult {
  const checked = checkLayerManifest(value, key)
  if (!checked.ok) return checked
  const { disk } = checked.manifest
  if (disk.size === bytes && disk.sha256 === sha256) return checked
  return { ok: false, reason: 'its manifest describes another disk' }
}
