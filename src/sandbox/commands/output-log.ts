/** A piece of a command's output. */
export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr'
  /** The bytes as text; a character is never torn between two chunks of a stream. */
  readonly data: string
  readonly bytes: Uint8Array
}

/** Bytes of output kept for readers that come late; a reader that is there slows the program when it is so far behind. */
export const RETAINED_BYTES = 1_048_576

/** What a chunk costs besides its bytes: a program that writes them one by one must not make a million objects. */
const CHUNK_COST = 256

interface Reader {
  /** Number of the chunk it takes next. */
  next: number
  wake: () => void
}

/**
 * The output of one command, in the order in which it came, for any number of readers. Without a reader the oldest goes
 * when more than `RETAINED_BYTES` are here; with one, whoever appends waits until the slowest has caught up.
 */
export class OutputLog {
  readonly #chunks: OutputChunk[] = []
  readonly #readers = new Set<Reader>()
  #first = 0
  #cost = 0
  #droppedBytes = 0
  #end: { readonly error?: unknown } | undefined
  #whenRoom: (() => void)[] = []

  /** Bytes that went before anyone read them. */
  get droppedBytes(): number {
    return this.#droppedBytes
  }

  /** Adds a chunk, and resolves when there is room for the next. */
  async append(chunk: OutputChunk): Promise<void> {
    if (this.#end !== undefined) return
    this.#chunks.push(chunk)
    this.#cost += costOf(chunk)
    for (const reader of this.#readers) reader.wake()
    this.#trim()
    while (this.#cost > RETAINED_BYTES && this.#end === undefined) {
      await new Promise<void>((resolve) => this.#whenRoom.push(resolve))
      this.#trim()
    }
  }

  /** Nothing more comes. Readers get what is here, then the end or `error`. */
  end(error?: unknown): void {
    if (this.#end !== undefined) return
    this.#end = error === undefined ? {} : { error }
    for (const reader of this.#readers) reader.wake()
    this.#announceRoom()
  }

  /** Everything that is still here, and what comes. */
  async *read(): AsyncGenerator<OutputChunk, void, undefined> {
    const reader: Reader = { next: this.#first, wake: () => undefined }
    this.#readers.add(reader)
    try {
      for (;;) {
        const chunk = this.#chunks[reader.next - this.#first]
        if (chunk !== undefined) {
          reader.next += 1
          this.#announceRoom()
          yield chunk
        } else if (this.#end === undefined) {
          await new Promise<void>((resolve) => {
            reader.wake = resolve
          })
        } else if ('error' in this.#end) throw this.#end.error
        else return
      }
    } finally {
      this.#readers.delete(reader)
      this.#announceRoom()
    }
  }

  #trim(): void {
    const needed = Math.min(...[...this.#readers].map(({ next }) => next))
    while (this.#cost > RETAINED_BYTES && this.#first < needed) {
      const oldest = this.#chunks.shift()
      if (oldest === undefined) return
      this.#first += 1
      this.#cost -= costOf(oldest)
      if (this.#readers.size === 0) this.#droppedBytes += oldest.bytes.byteLength
    }
  }

  #announceRoom(): void {
    for (const resolve of this.#whenRoom.splice(0)) resolve()
  }
}

function costOf({ bytes }: OutputChunk): number {
  return bytes.byteLength + CHUNK_COST
}
