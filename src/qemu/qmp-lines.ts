/**
 * The longest line taken from QMP, in bytes. The longest honest one is the reply to `query-cpu-definitions`, about
 * 200 KB. QEMU may have been taken over by its guest, so nothing it sends may grow without bound.
 */
export const QMP_LINE_LIMIT = 4_194_304

/** Splits bytes into lines; a line longer than the limit is an error, found before it is whole. Pure but for its buffer. */
export class LineSplitter {
  readonly #limit: number
  #parts: Buffer[] = []
  #size = 0

  constructor(limit = QMP_LINE_LIMIT) {
    this.#limit = limit
  }

  /**
   * The lines that `chunk` completes.
   * @throws RangeError when a line exceeds the limit
   */
  push(chunk: Buffer): string[] {
    const lines: string[] = []
    let start = 0
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      this.#keep(chunk.subarray(start, end))
      lines.push(Buffer.concat(this.#parts).toString('utf8').trim())
      this.#parts = []
      this.#size = 0
      start = end + 1
    }
    this.#keep(chunk.subarray(start))
    return lines.filter((line) => line !== '')
  }

  #keep(part: Buffer): void {
    if (part.byteLength === 0) return
    this.#size += part.byteLength
    if (this.#size > this.#limit) throw new RangeError(`a line of more than ${this.#limit} bytes`)
    this.#parts.push(Buffer.from(part))
  }
}
