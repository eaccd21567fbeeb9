/** Raised when the meaning of objects changes: hosts of another version then find nothing instead of nonsense. */
const LAYOUT = 'v1'

/** The keys of a layer's objects (docs/remote-cache.md). Made of our own hexadecimal digits and the user's prefix alone. */
export class ObjectKeys {
  readonly #base: string

  /** @param prefix with or without slashes at its ends; '' for none */
  constructor(prefix: string) {
    const trimmed = prefix.replace(/^\/|\/$/g, '')
    this.#base = `${trimmed === '' ? '' : `${trimmed}/`}layers/${LAYOUT}`
  }

  /** What is read first and written last: without it there is no layer. */
  manifest(layerKey: string): string {
    assertLayerKey(layerKey)
    return `${this.#base}/${layerKey}/manifest.json`
  }

  /**
   * The packed layer. Named by its content: hosts that publish the same layer at once write different bytes, and the
   * manifest of one must never meet the bytes of another.
   * @param sha256 digest of the packed bytes
   */
  packed(layerKey: string, sha256: string): string {
    assertLayerKey(layerKey)
    assertLayerKey(sha256)
    return `${this.#base}/${layerKey}/${sha256}.zst`
  }
}

/** A layer's key becomes part of names in the bucket: nothing but our own digits may. */
export function assertLayerKey(key: string): void {
  if (!/^[0-9a-f]{16,64}$/.test(key)) {
    throw new TypeError(`expected a layer key of 16–64 hexadecimal digits, got ${JSON.stringify(key).slice(0, 80)}`)
  }
}
