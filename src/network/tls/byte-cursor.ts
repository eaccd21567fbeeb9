/** What was read does not fit its own lengths, or the rules of the format. The message says which. */
export class MalformedError extends Error {}

/** Reads fields of a TLS message (RFC 8446 §3) one after the other; what does not fit throws `MalformedError`. */
export class ByteCursor {
  readonly #bytes: Uint8Array
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#offset
  }

  take(count: number, what: string): Uint8Array {
    if (count > this.left) throw new MalformedError(`${what} is cut off`)
    this.#offset += count
    return this.#bytes.subarray(this.#offset - count, this.#offset)
  }

  /** A number of 1, 2 or 3 bytes, the highest first. */
  number(width: 1 | 2 | 3, what: string): number {
    return this.take(width, what).reduce((value, byte) => value * 256 + byte, 0)
  }

  /** A field behind its own length. */
  vector(lengthWidth: 1 | 2 | 3, what: string): Uint8Array {
    return this.take(this.number(lengthWidth, what), what)
  }

  /** Nothing may be left. */
  end(what: string): void {
    if (this.left > 0) throw new MalformedError(`${what} is followed by ${this.left} bytes too many`)
  }
}
