const FIRST_BYTES = 1_024

/**
 * Bytes kept in one piece of memory. A guest that sends single bytes would make a list of pieces cost a hundred times what
 * it holds.
 */
export class HeldBytes {
  #memory = new Uint8Array(0)
  #length = 0

  get length(): number {
    return this.#length
  }

  push(chunk: Uint8Array): void {
    const needed = this.#length + chunk.byteLength
    if (needed > this.#memory.byteLength) {
      const memory = new Uint8Array(Math.max(FIRST_BYTES, needed, 2 * this.#memory.byteLength))
      memory.set(this.#memory.subarray(0, this.#length))
      this.#memory = memory
    }
    this.#memory.set(chunk, this.#length)
    this.#length = needed
  }

  /** All of it; nothing is held any more. */
  take(): Uint8Array {
    const bytes = this.#memory.subarray(0, this.#length)
    this.#memory = new Uint8Array(0)
    this.#length = 0
    return bytes
  }
}
