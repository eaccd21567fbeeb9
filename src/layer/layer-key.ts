import { createHash } from 'node:crypto'
import type { PackageLanguage } from './package-spec.ts'

/** Raised when the layout of a layer, what is in it or its manifest changes: other formats are foreign. */
export const LAYER_FORMAT = 1

/** Everything that decides what a layer holds, as far as it can be known before the installation. */
export interface LayerSpec {
  readonly language: PackageLanguage
  /** As `parsePackageSpecs` gives them. */
  readonly packages: readonly string[]
  /** Digest of the root file system: its interpreters and libraries are what packages are installed for. */
  readonly root: string
  /** Stands for where packages come from; holds no URL, which may hold a secret. */
  readonly index: string
}

/** Hex digits of a key: 80 bits, which no two specs of one machine will share by chance. */
const KEY_DIGITS = 20

/** The layer's key: a digest over every field of its spec. Pure. */
export function layerKey(spec: LayerSpec): string {
  // A list in a fixed order: JSON marks where each value ends, so no two specs give the same text.
  const fields = [LAYER_FORMAT, spec.language, spec.packages, spec.root, spec.index]
  return createHash('sha256').update(JSON.stringify(fields)).digest('hex').slice(0, KEY_DIGITS)
}
