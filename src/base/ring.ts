/** Keeps the last `limit` bytes of a text stream: boot logs and stderr of a VM, bounded whatever the guest writes. */
export class TextRing {
  readonly #limit: number
  readonly #chunks: Buffer[] = []
  #size = 0

  /** @param limit bytes kept at most */
  constructor(limit: number) {
    this.#limit = limit
  }

  push(chunk: Uint8Array): void {
    // A copy: the caller's buffer may be a window into a larger one that we would otherwise keep alive.
    const kept = Buffer.from(chunk.byteLength > this.#limit ? chunk.subarray(chunk.byteLength - this.#limit) : chunk)
    this.#chunks.push(kept)
    this.#size += kept.byteLength
    while (this.#size > this.#limit) this.#dropFront(this.#size - this.#limit)
  }

  /** What is kept, as text; a character cut at the front shows as U+FFFD. */
  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8')
  }

  #dropFront(surplus: number): void {
    const first = this.#chunks[0]
    if (first === undefined) return
    if (first.byteLength <= surplus) {
      this.#chunks.shift()
      this.#size -= first.byteLength
    } else {
      this.#chunks[0] = first.subarray(surplus)
      this.#size -= surplus
    }
  }
}
