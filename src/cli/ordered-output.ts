import type { Writable } from 'node:stream'
import { writeAll } from './terminal.ts'

type StreamName = 'stdout' | 'stderr'

interface Slot {
  readonly held: { readonly stream: StreamName; readonly chunk: Uint8Array | string }[]
  finished: boolean
}

/**
 * The outputs of several programs that run at once, in the order of the programs: the first unfinished one streams,
 * the others are held back. What is held is bounded by the output limits of each run.
 */
export class OrderedOutput {
  readonly #slots: Slot[]
  readonly #streams: Readonly<Record<StreamName, Writable>>
  #current = 0

  constructor(count: number, streams: Readonly<Record<StreamName, Writable>>) {
    this.#slots = Array.from({ length: count }, () => ({ held: [], finished: false }))
    this.#streams = streams
  }

  /** Writes at once when it is this program's turn, waiting for the stream; else holds a copy. */
  async write(index: number, stream: StreamName, chunk: Uint8Array | string): Promise<void> {
    if (index === this.#current) return await writeAll(this.#streams[stream], chunk)
    this.#slots[index]?.held.push({ stream, chunk: typeof chunk === 'string' ? chunk : chunk.slice() })
  }

  /** The program has ended: those after it get their turn. */
  async finish(index: number): Promise<void> {
    const slot = this.#slots[index]
    if (slot !== undefined) slot.finished = true
    while (this.#slots[this.#current]?.finished === true) {
      this.#current += 1
      const next = this.#slots[this.#current]
      // All of it is queued in one go: what the program writes from now on comes behind it.
      const held = next?.held.splice(0) ?? []
      await Promise.all(held.map(async ({ stream, chunk }) => await writeAll(this.#streams[stream], chunk)))
    }
  }
}
