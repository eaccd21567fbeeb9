import { type FileHandle, open } from 'node:fs/promises'

/** Bytes of a file of the host read or written at a time. */
const BLOCK_BYTES = 262_144

/** The content of a file, read a block ahead. What was yielded is overwritten once the next block is asked for. */
export async function* readBlocks(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await open(path)
  let [block, other] = [Buffer.allocUnsafe(BLOCK_BYTES), Buffer.allocUnsafe(BLOCK_BYTES)]
  try {
    let reading = file.read(block)
    for (;;) {
      const { bytesRead } = await reading
      if (bytesRead === 0) return
      const content = block.subarray(0, bytesRead)
      ;[block, other] = [other, block]
      reading = file.read(block)
      // A consumer that leaves does not hear of it.
      reading.catch(() => undefined)
      yield content
    }
  } finally {
    // Not waited for: closing waits for the read ahead, and a pipe may keep that waiting for ever.
    file.close().catch(() => undefined)
  }
}

/** Writes a file in blocks, one while the next is filled. */
export class BlockWriter {
  readonly #file: FileHandle
  #block = Buffer.allocUnsafe(BLOCK_BYTES)
  #other = Buffer.allocUnsafe(BLOCK_BYTES)
  #filled = 0
  #writing: Promise<void> = Promise.resolve()

  constructor(file: FileHandle) {
    this.#file = file
  }

  /** Takes a piece; its bytes have been copied when this resolves. Rejects with the error of an earlier block. */
  async write(piece: Uint8Array): Promise<void> {
    for (let rest = piece; rest.byteLength > 0; ) {
      const part = rest.subarray(0, BLOCK_BYTES - this.#filled)
      this.#block.set(part, this.#filled)
      this.#filled += part.byteLength
      rest = rest.subarray(part.byteLength)
      if (this.#filled === BLOCK_BYTES) await this.#turn()
    }
  }

  /** Resolves when everything has been written. */
  async finish(): Promise<void> {
    await this.#turn()
    await this.#writing
  }

  async #turn(): Promise<void> {
    await this.#writing
    this.#writing = writeAll(this.#file, this.#block.subarray(0, this.#filled))
    // Told by the next turn.
    this.#writing.catch(() => undefined)
    ;[this.#block, this.#other] = [this.#other, this.#block]
    this.#filled = 0
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) done += (await file.write(bytes, done)).bytesWritten
}
