import type { Logger } from '../base/index.ts'
import type { StreamWriter } from './exchange-options.ts'
import { ExchangeStreams } from './exchange-streams.ts'
import { encodeJson } from './frame.ts'
import type { GuestAnswer, GuestExchange, GuestMethod } from './guest-methods.ts'
import type { InboundStream } from './inbound-stream.ts'
import type { OutboundStream } from './outbound-stream.ts'
import { violation } from './violation.ts'

/** What an exchange of the guest needs of its channel. */
export interface ServedLink {
  readonly logger: Logger | undefined
  grant(id: number, stream: number, bytes: number): void
  ready(stream: OutboundStream): void
  sendEvent(id: number, frame: Buffer): void
  /** Takes back what is queued under the id, except RESPONSE. */
  withdraw(id: number): void
  /** @param onSent called when the socket has been handed the frame */
  sendResponse(id: number, frame: Buffer, onSent: () => void): void
  /** RESPONSE has left, or the channel has ended: the exchange counts no longer. */
  ended(id: number): void
}

/** People read it in an error of the guest; with the rest it must stay below the limit of a frame. */
const MESSAGE_CHARACTERS = 500

const CANCELLED: GuestAnswer = { error: { code: 'reset', message: 'cancelled' } }

/**
 * An exchange that the guest began.
 *
 * ```text
 *   open ── answer, CANCEL, the method settles ──▶ answered ── settled, and END both ways if a result ──▶ responding ── sent ──▶ ended
 *     └──────────────────────────────────── the channel ended ──────────────────────────────────────────────────────────────▶
 * ```
 */
export class ServedExchange implements GuestExchange {
  readonly id: number
  readonly #link: ServedLink
  readonly #label: string
  readonly #streams: ExchangeStreams
  readonly #controller = new AbortController()
  #answer: GuestAnswer | undefined
  /** The method has spoken: the guest knows that the streams are there. */
  #isConnected = false
  #isSettled = false
  #isOver = false

  constructor(id: number, label: string, method: GuestMethod, link: ServedLink) {
    this.id = id
    this.#label = label
    this.#link = link
    this.#streams = new ExchangeStreams(id, method, {
      label,
      grant: (stream, bytes) => link.grant(id, stream, bytes),
      ready: (stream) => link.ready(stream),
      sentEnd: () => this.#tryRespond(),
    })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** RESPONSE is on its way: what the guest still sends has crossed it. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Lets the method serve it. Never rejects. */
  async serve(work: (exchange: GuestExchange) => Promise<void>): Promise<void> {
    try {
      // Cancelled before its turn: nobody waits for it.
      if (!this.signal.aborted) await work(this)
    } catch (error) {
      // Whoever was told that nobody waits any more may well end with an error.
      const level = this.signal.aborted ? 'debug' : 'warn'
      this.#link.logger?.[level]('a request of the guest failed', { label: this.#label, error: String(error) })
    }
    this.#isSettled = true
    this.answer({ error: { code: 'reset', message: 'it ended without an answer' } })
    this.#tryRespond()
  }

  readable(stream: number): AsyncIterableIterator<Uint8Array, undefined> {
    return this.#streams.readable(stream)
  }

  writable(stream: number): StreamWriter {
    return this.#streams.writable(stream)
  }

  event(body: { readonly event: string }): void {
    if (this.#isOver || this.#answer !== undefined) return
    this.#isConnected = true
    this.#link.sendEvent(this.id, encodeJson('EVENT', this.id, body))
  }

  answer(answer: GuestAnswer): void {
    if (this.#answer === undefined) this.#conclude(answer)
  }

  onData(stream: number, bytes: number): InboundStream {
    const inbound = this.#streams.onData(stream, bytes)
    this.#checkConnected('DATA')
    return inbound
  }

  onCredit(stream: number, bytes: number): void {
    this.#streams.onCredit(stream, bytes)
  }

  onEnd(stream: number): void {
    this.#streams.onEnd(stream)
    this.#checkConnected('END')
    this.#tryRespond()
  }

  onCancel(): void {
    // Even when a result has been given: the guest will not send the END that it waits for.
    if (this.#answer === undefined || 'result' in this.#answer) this.#conclude(CANCELLED)
    this.#controller.abort(new Error(`${this.#label}: the guest cancelled it`))
  }

  onLost(makeError: (label: string) => Error): void {
    if (this.#isOver) return
    const error = makeError(this.#label)
    this.#isOver = true
    this.#link.ended(this.id)
    this.#streams.fail(error)
    this.#controller.abort(error)
  }

  #conclude(answer: GuestAnswer): void {
    if (this.#isOver) return
    this.#answer = answer
    if ('error' in answer) {
      this.#streams.drop(new Error(`${this.#label}: ${answer.error.message}`))
      this.#link.withdraw(this.id)
    }
    this.#tryRespond()
  }

  #checkConnected(type: string): void {
    if (!this.#isConnected && this.#answer === undefined) {
      throw violation('not-connected', `${type} of exchange ${this.id} before it was connected`)
    }
  }

  #tryRespond(): void {
    const answer = this.#answer
    if (answer === undefined || !this.#isSettled || this.#isOver) return
    if ('result' in answer && (this.#streams.unendedStream !== undefined || !this.#streams.hasSentEnds)) return
    this.#isOver = true
    this.#streams.finish(new Error(`${this.#label} has ended`))
    this.#link.sendResponse(this.id, encodeAnswer(this.id, answer), () => this.#link.ended(this.id))
  }
}

function encodeAnswer(id: number, answer: GuestAnswer): Buffer {
  if ('result' in answer) return encodeJson('RESPONSE', id, answer)
  const { code, message } = answer.error
  return encodeJson('RESPONSE', id, { error: { code, message: message.slice(0, MESSAGE_CHARACTERS) } })
}
