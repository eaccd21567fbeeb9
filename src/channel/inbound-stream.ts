import { observed } from './observed.ts'

/**
 * Pieces smaller than this are copied together. A piece is a view of the buffer it was read into, and a guest that
 * sends single bytes among other frames would otherwise make each of them hold a whole read buffer.
 */
const GATHER_BELOW_BYTES = 4_096

/** A piece is kept as a view only if it is at least this part of its buffer; so is a block of gathered pieces. */
const LEAST_SHARE = 1 / 4

/** Room for gathered pieces, taken one block at a time. */
const BLOCK_BYTES = 16_384

type StreamState =
  | { readonly kind: 'flowing' }
  | { readonly kind: 'ended' }
  | { readonly kind: 'dropping' }
  | { readonly kind: 'failed'; readonly error: Error }

interface Waiter {
  readonly resolve: (result: IteratorResult<Uint8Array, undefined>) => void
  readonly reject: (error: Error) => void
}

/**
 * One stream from the guest, read by one consumer. What waits here is bounded by the credit that its consumer has
 * granted by reading: `onConsumed` is called with the bytes taken or dropped. A chunk handed out holds at most four
 * times its size in memory.
 */
export class InboundStream implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #onConsumed: (bytes: number) => void
  readonly #queue: Uint8Array[] = []
  #block: Uint8Array | undefined
  #blockBytes = 0
  #waiter: Waiter | undefined
  #state: StreamState = { kind: 'flowing' }

  constructor(onConsumed: (bytes: number) => void) {
    this.#onConsumed = onConsumed
  }

  /** Whether bytes wait here for the consumer. */
  get hasQueued(): boolean {
    return this.#queue.length > 0 || this.#blockBytes > 0
  }

  /** Takes the next bytes from the wire; a view is copied unless it makes up enough of its buffer. */
  push(piece: Uint8Array): void {
    if (this.#state.kind !== 'flowing') return this.#onConsumed(piece.byteLength)
    const waiter = this.#waiter
    if (waiter === undefined) return this.#keep(piece)
    this.#waiter = undefined
    this.#onConsumed(piece.byteLength)
    waiter.resolve({ done: false, value: compact(piece) })
  }

  /** The guest ended the stream: the consumer gets what waits here, then the end. */
  end(): void {
    this.#finish({ kind: 'ended' })
  }

  /** The stream broke: the consumer gets what waits here, then `error`. */
  fail(error: Error): void {
    this.#finish({ kind: 'failed', error })
  }

  /** The consumer is gone: what waits and what comes is dropped. With `error`, reading on throws it. */
  drop(error?: Error): void {
    const dropped = this.#queue.reduce((sum, { byteLength }) => sum + byteLength, this.#blockBytes)
    this.#queue.length = 0
    this.#block = undefined
    this.#blockBytes = 0
    // A stream that had ended is cut short too: its reader must not take what it got for the whole.
    if (error !== undefined && this.#state.kind === 'ended') this.#state = { kind: 'failed', error }
    this.#finish(error === undefined ? { kind: 'dropping' } : { kind: 'failed', error })
    if (dropped > 0) this.#onConsumed(dropped)
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    return observed(this.#next())
  }

  async #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#queue.length === 0) this.#sealBlock()
    const chunk = this.#queue.shift()
    if (chunk !== undefined) {
      this.#onConsumed(chunk.byteLength)
      return { done: false, value: chunk }
    }
    if (this.#state.kind === 'failed') throw this.#state.error
    if (this.#state.kind !== 'flowing') return { done: true, value: undefined }
    if (this.#waiter !== undefined) throw new Error('A stream of the guest has one reader, which awaits each chunk')
    return await new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
    })
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.drop()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #finish(state: StreamState): void {
    if (this.#state.kind === 'flowing') this.#state = state
    const waiter = this.#waiter
    this.#waiter = undefined
    if (this.#state.kind === 'failed') waiter?.reject(this.#state.error)
    else waiter?.resolve({ done: true, value: undefined })
  }

  #keep(piece: Uint8Array): void {
    if (piece.byteLength >= GATHER_BELOW_BYTES && !isWasteful(piece)) {
      this.#sealBlock()
      this.#queue.push(piece)
      return
    }
    let rest = piece
    while (rest.byteLength > 0) {
      this.#block ??= new Uint8Array(BLOCK_BYTES)
      const part = rest.subarray(0, BLOCK_BYTES - this.#blockBytes)
      this.#block.set(part, this.#blockBytes)
      this.#blockBytes += part.byteLength
      rest = rest.subarray(part.byteLength)
      if (this.#blockBytes === BLOCK_BYTES) this.#sealBlock()
    }
  }

  #sealBlock(): void {
    if (this.#block === undefined || this.#blockBytes === 0) return
    const gathered = this.#block.subarray(0, this.#blockBytes)
    this.#queue.push(compact(gathered))
    this.#block = undefined
    this.#blockBytes = 0
  }
}

function isWasteful(view: Uint8Array): boolean {
  return view.byteLength < view.buffer.byteLength * LEAST_SHARE
}

// Not `slice`: that of a Buffer is a view, too.
function compact(view: Uint8Array): Uint8Array {
  return isWasteful(view) ? new Uint8Array(view) : view
}
