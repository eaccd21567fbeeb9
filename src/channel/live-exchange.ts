import { abortedError } from '../base/index.ts'
import { at, type CallSite } from './call-site.ts'
import type { Exchange, ExchangeOptions, StreamWriter } from './exchange-options.ts'
import { type ExchangeInput, type ExchangePhase, FIRST_PHASE, isOpenToGuest, nextStep } from './exchange-phase.ts'
import { ExchangeStreams } from './exchange-streams.ts'
import { checkGuest, parseEvent, parseResponse } from './guest-json.ts'
import type { InboundStream } from './inbound-stream.ts'
import { observed } from './observed.ts'
import type { OutboundStream } from './outbound-stream.ts'
import { RequestRefusedError } from './request-refused-error.ts'
import { violation } from './violation.ts'

/** What an exchange needs of its channel. */
export interface ExchangeLink {
  sendCancel(id: number): void
  grant(id: number, stream: number, bytes: number): void
  ready(stream: OutboundStream): void
  /** The exchange is over: its id is no longer open, and what still waits to be written under it is taken back. */
  ended(id: number): void
  /** The guest let a deadline pass. */
  unresponsive(label: string, waitedMs: number): void
}

/** An exchange as its channel sees it. What is told by a frame of the guest throws `ProtocolError` if it breaks a rule. */
export interface ExchangePort {
  readonly isOpenToGuest: boolean
  /** REQUEST has been handed to the socket. */
  onSent(): void
  onData(stream: number, bytes: number): InboundStream
  onCredit(stream: number, bytes: number): void
  onEnd(stream: number): void
  onEvent(payload: Uint8Array): void
  onResponse(payload: Uint8Array): void
  /** The channel ended first, or the request never left; `makeError` makes the error of this exchange. */
  onLost(makeError: (label: string, dispatched: boolean) => Error): void
}

/** See RequestOptions.cancelTimeoutMs. */
const CANCEL_TIMEOUT_MS = 25_000

/** The most events that any method sends (docs/protocol.md, `run`). */
const MAX_EVENTS = 256

/** An exchange that the host begins. */
export class LiveExchange<T, E> implements Exchange<T>, ExchangePort {
  readonly id: number
  readonly response: Promise<T>
  readonly settled: Promise<void>
  readonly #options: ExchangeOptions<T, E>
  readonly #link: ExchangeLink
  readonly #site: CallSite
  readonly #streams: ExchangeStreams
  // Set by the promises' executors, which run within the constructor.
  #resolve: (result: T) => void = () => undefined
  #reject: (error: Error) => void = () => undefined
  #settle: () => void = () => undefined
  #phase: ExchangePhase = FIRST_PHASE
  #events = 0
  #deadline: NodeJS.Timeout | undefined
  readonly #onAbort = (): void => this.#fail(abortedError(this.#options.signal))

  constructor(id: number, options: ExchangeOptions<T, E>, link: ExchangeLink, site: CallSite) {
    this.id = id
    this.#options = options
    this.#link = link
    this.#site = site
    const response = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.response = observed(response)
    this.settled = new Promise((resolve) => {
      this.#settle = resolve
    })
    this.#streams = new ExchangeStreams(id, options, {
      label: options.label,
      grant: (stream, bytes) => link.grant(id, stream, bytes),
      // What is written before REQUEST has left waits for it.
      ready: (stream) => (this.isOpenToGuest ? link.ready(stream) : undefined),
      sentEnd: () => undefined,
    })
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (options.timeoutMs !== undefined) this.#startDeadline(options.timeoutMs)
  }

  readable(stream: number): AsyncIterableIterator<Uint8Array, undefined> {
    return this.#streams.readable(stream)
  }

  widen(stream: number, bytes: number): void {
    this.#streams.widen(stream, bytes)
  }

  writable(stream: number): StreamWriter {
    return this.#streams.writable(stream)
  }

  cancel(): void {
    this.#step('cancel')
  }

  get isOpenToGuest(): boolean {
    return isOpenToGuest(this.#phase)
  }

  onSent(): void {
    this.#step('sent')
    this.#streams.announce()
  }

  onData(stream: number, bytes: number): InboundStream {
    return this.#streams.onData(stream, bytes)
  }

  onCredit(stream: number, bytes: number): void {
    this.#streams.onCredit(stream, bytes)
  }

  onEnd(stream: number): void {
    this.#streams.onEnd(stream)
  }

  onEvent(payload: Uint8Array): void {
    const { event: schema, onEvent, maxEvents = MAX_EVENTS, label } = this.#options
    if (schema === undefined) throw violation('no-event', `EVENT for "${label}", which has none`)
    this.#events += 1
    if (this.#events > maxEvents) throw violation('too-many-events', `more than ${maxEvents} EVENTs`)
    const event = checkGuest(schema, parseEvent(payload), 'EVENT')
    if (this.#phase.kind === 'draining') return
    try {
      onEvent?.(event)
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(`${label}: its event callback failed`, { cause: error }))
    }
  }

  onResponse(payload: Uint8Array): void {
    const body = parseResponse(payload)
    const { label, result: schema } = this.#options
    // What a stream whose END is missing ends with: it was cut short.
    let cut = new Error(`${label} has ended`)
    if (body.kind === 'error') {
      cut = at(this.#site, new RequestRefusedError(label, body.error))
      this.#reject(cut)
    } else {
      const unended = this.#streams.unendedStream
      if (unended !== undefined) throw violation('response-order', `RESPONSE before END of stream ${unended}`)
      if (this.#phase.kind !== 'draining') this.#resolve(checkGuest(schema, body.result, `The result of "${label}"`))
    }
    this.#step('response')
    this.#streams.finish(cut)
  }

  onLost(makeError: (label: string, dispatched: boolean) => Error): void {
    if (this.#phase.kind === 'ended') return
    const error = at(this.#site, makeError(this.#options.label, this.isOpenToGuest))
    this.#step('lost')
    this.#reject(error)
    this.#streams.fail(error)
  }

  /** The consumer is gone, by its signal or by an error of its own: it gets the error now, the guest a CANCEL. */
  #fail(error: Error): void {
    if (this.#phase.kind === 'ended' || this.#phase.kind === 'draining') return
    this.#reject(at(this.#site, error))
    this.#step('abort')
    this.#streams.drop(error)
  }

  #step(input: ExchangeInput): void {
    const before = this.#phase
    const { phase, effect } = nextStep(before, input)
    this.#phase = phase
    if (effect === 'send-cancel') {
      this.#startDeadline(this.#options.cancelTimeoutMs ?? CANCEL_TIMEOUT_MS)
      this.#link.sendCancel(this.id)
    }
    if (phase.kind !== 'ended' || before.kind === 'ended') return
    clearTimeout(this.#deadline)
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#link.ended(this.id)
    this.#settle()
  }

  #startDeadline(ms: number): void {
    clearTimeout(this.#deadline)
    this.#deadline = setTimeout(() => {
      // A guest that waits for a reader of ours has not failed to answer.
      if (this.#streams.isHeldBack) this.#startDeadline(ms)
      else this.#link.unresponsive(this.#options.label, ms)
    }, ms)
  }
}
