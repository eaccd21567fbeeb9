import { bookGrant, openSendAccount, spendCredit } from './credit.ts'
import { encodeData, encodeEmpty, encodeHeader } from './frame.ts'
import { observed } from './observed.ts'
import type { Rule } from './violation.ts'
import { DATA_LIMIT_BYTES } from './wire.ts'

/** A payload this small is copied behind its header: cheaper than a second buffer in the write. */
const COPY_BELOW_BYTES = 1_024

/** One frame to write: its buffers in order, and what to do when the socket has taken them. */
export interface OutFrame {
  readonly buffers: readonly Uint8Array[]
  readonly onWritten?: () => void
}

interface Write {
  rest: Uint8Array
  readonly resolve: (taken: boolean) => void
  readonly reject: (error: Error) => void
}

type StreamState =
  | { readonly kind: 'open' }
  /** `end` was called: END follows the data that is still queued. */
  | { readonly kind: 'ending' }
  /** END is written, or the exchange is over: nothing more leaves. */
  | { readonly kind: 'over'; readonly error?: Error }

/** One stream to the guest. It holds at most one write, and of that no copy. */
export class OutboundStream {
  readonly id: number
  readonly stream: number
  readonly #onReady: (stream: OutboundStream) => void
  readonly #onEnded: () => void
  readonly #account = openSendAccount()
  #write: Write | undefined
  #state: StreamState = { kind: 'open' }

  /**
   * @param onReady called whenever there may be a frame to take
   * @param onEnded called when END is taken to be written
   */
  constructor(id: number, stream: number, onReady: (stream: OutboundStream) => void, onEnded: () => void) {
    this.id = id
    this.stream = stream
    this.#onReady = onReady
    this.#onEnded = onEnded
  }

  /** Whether nothing more leaves: END was taken, or the exchange is over. */
  get isOver(): boolean {
    return this.#state.kind === 'over'
  }

  /**
   * Sends `chunk` as credit comes, and resolves when the socket has taken all of it; only then may the caller change
   * its bytes. False when the exchange ended before that: the guest has no more use for them.
   */
  write(chunk: Uint8Array): Promise<boolean> {
    return observed(this.#begin(chunk))
  }

  async #begin(chunk: Uint8Array): Promise<boolean> {
    if (this.#state.kind === 'over') {
      if (this.#state.error !== undefined) throw this.#state.error
      return false
    }
    if (this.#state.kind === 'ending') throw new Error('write after end of the stream')
    if (this.#write !== undefined) throw new Error('write before the previous one was awaited')
    // Later it would fail where the socket drains, and nobody's call would be to blame.
    if (!(chunk instanceof Uint8Array)) throw new TypeError('expected a Uint8Array to write')
    if (chunk.byteLength === 0) return true
    return await new Promise((resolve, reject) => {
      this.#write = { rest: chunk, resolve, reject }
      this.#onReady(this)
    })
  }

  /** Ends the stream behind what has been written. */
  end(): void {
    if (this.#state.kind !== 'open') return
    this.#state = { kind: 'ending' }
    this.#onReady(this)
  }

  /** Books credit from the guest; says which rule it breaks. */
  grant(bytes: number): Rule | undefined {
    const broken = bookGrant(this.#account, bytes)
    if (broken === undefined && this.#state.kind !== 'over') this.#onReady(this)
    return broken
  }

  /** The exchange is over. A write under way resolves to false, or rejects with `error`. */
  finish(error?: Error): void {
    if (this.#state.kind === 'over' && this.#write === undefined) return
    this.#state = error === undefined ? { kind: 'over' } : { kind: 'over', error }
    const write = this.#write
    this.#write = undefined
    if (error === undefined) write?.resolve(false)
    else write?.reject(error)
  }

  /** The next frame that credit allows, if any. */
  take(): OutFrame | undefined {
    const write = this.#write
    if (write !== undefined && write.rest.byteLength > 0) return this.#takeData(write)
    if (this.#state.kind !== 'ending') return undefined
    this.#state = { kind: 'over' }
    this.#onEnded()
    return { buffers: [encodeEmpty('END', this.id, this.stream)] }
  }

  #takeData(write: Write): OutFrame | undefined {
    const length = spendCredit(this.#account, Math.min(write.rest.byteLength, DATA_LIMIT_BYTES))
    if (length === 0) return undefined
    const payload = write.rest.subarray(0, length)
    write.rest = write.rest.subarray(length)
    const header = { type: 'DATA', stream: this.stream, id: this.id, length } as const
    const buffers =
      length < COPY_BELOW_BYTES ? [encodeData(this.id, this.stream, payload)] : [encodeHeader(header), payload]
    if (write.rest.byteLength > 0) return { buffers }
    const onWritten = (): void => {
      if (this.#write === write) this.#write = undefined
      write.resolve(true)
    }
    return { buffers, onWritten }
  }
}
