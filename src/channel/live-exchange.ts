import { abortedError } from '../base/index.ts'
import { at, type CallSite } from './call-site.ts'
import { bookConsumed, bookReceived, openReceiveAccount, type ReceiveAccount, widenWindow } from './credit.ts'
import type { Exchange, ExchangeOptions, ReceiveStream, StreamWriter } from './exchange-options.ts'
import { type ExchangeInput, type ExchangePhase, FIRST_PHASE, isOpenToGuest, nextStep } from './exchange-phase.ts'
import { checkGuest, parseEvent, parseResponse } from './guest-json.ts'
import { InboundStream } from './inbound-stream.ts'
import { observed } from './observed.ts'
import { OutboundStream } from './outbound-stream.ts'
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

interface Receiver {
  readonly account: ReceiveAccount
  readonly inbound: InboundStream
  ended: boolean
}

export class LiveExchange<T, E> implements Exchange<T>, ExchangePort {
  readonly id: number
  readonly response: Promise<T>
  readonly settled: Promise<void>
  readonly #options: ExchangeOptions<T, E>
  readonly #link: ExchangeLink
  readonly #site: CallSite
  readonly #receivers = new Map<number, Receiver>()
  readonly #senders = new Map<number, OutboundStream>()
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
    for (const each of options.receive ?? []) this.#openReceiver(each)
    for (const stream of options.send ?? []) {
      this.#senders.set(stream, new OutboundStream(id, stream, (ready) => this.#onReady(ready)))
    }
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (options.timeoutMs !== undefined) this.#startDeadline(options.timeoutMs)
  }

  readable(stream: number): AsyncIterableIterator<Uint8Array, undefined> {
    return this.#toRead(stream).inbound
  }

  widen(stream: number, bytes: number): void {
    widenWindow(this.#toRead(stream).account, bytes)
  }

  writable(stream: number): StreamWriter {
    const sender = this.#senders.get(stream)
    if (sender === undefined) throw new RangeError(`${this.#options.label} has no stream ${stream} to write`)
    return sender
  }

  cancel(): void {
    this.#step('cancel')
  }

  get isOpenToGuest(): boolean {
    return isOpenToGuest(this.#phase)
  }

  onSent(): void {
    this.#step('sent')
    // What was written before REQUEST had left may follow it now.
    for (const sender of this.#senders.values()) this.#onReady(sender)
  }

  onData(stream: number, bytes: number): InboundStream {
    const { account, inbound } = this.#receiver(stream, 'DATA')
    const broken = bookReceived(account, bytes)
    if (broken === 'limit') throw violation(broken, `more than ${account.limit} bytes on stream ${stream}`)
    if (broken !== undefined) throw violation(broken, `DATA of ${bytes} bytes with credit for ${account.window}`)
    return inbound
  }

  onCredit(stream: number, bytes: number): void {
    const sender = this.#senders.get(stream)
    if (sender === undefined) throw violation('no-stream', `CREDIT for stream ${stream}, which the host does not send`)
    const broken = sender.grant(bytes)
    if (broken !== undefined) throw violation(broken, `CREDIT of ${bytes} bytes: none, or more than can be held`)
  }

  onEnd(stream: number): void {
    const receiver = this.#receiver(stream, 'END')
    receiver.ended = true
    receiver.inbound.end()
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
    for (const [stream, { ended }] of this.#receivers) {
      if (!ended) throw violation('response-order', `RESPONSE before END of stream ${stream}`)
    }
    const body = parseResponse(payload)
    const { label, result: schema } = this.#options
    if (body.kind === 'error') {
      this.#reject(at(this.#site, new RequestRefusedError(label, body.error)))
    } else if (this.#phase.kind !== 'draining') {
      this.#resolve(checkGuest(schema, body.result, `The result of "${label}"`))
    }
    this.#step('response')
    for (const sender of this.#senders.values()) sender.finish()
  }

  onLost(makeError: (label: string, dispatched: boolean) => Error): void {
    if (this.#phase.kind === 'ended') return
    const error = at(this.#site, makeError(this.#options.label, this.isOpenToGuest))
    this.#step('lost')
    this.#reject(error)
    for (const { inbound } of this.#receivers.values()) inbound.fail(error)
    for (const sender of this.#senders.values()) sender.finish(error)
  }

  /** The consumer is gone, by its signal or by an error of its own: it gets the error now, the guest a CANCEL. */
  #fail(error: Error): void {
    if (this.#phase.kind === 'ended' || this.#phase.kind === 'draining') return
    this.#reject(at(this.#site, error))
    this.#step('abort')
    for (const { inbound } of this.#receivers.values()) inbound.drop(error)
    for (const sender of this.#senders.values()) sender.finish(error)
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
      if (this.#isHeldBack()) this.#startDeadline(ms)
      else this.#link.unresponsive(this.#options.label, ms)
    }, ms)
  }

  #isHeldBack(): boolean {
    return [...this.#receivers.values()].some(({ account, inbound }) => account.window === 0 && inbound.hasQueued)
  }

  #openReceiver(each: ReceiveStream): void {
    const { stream, limitBytes } = typeof each === 'number' ? { stream: each, limitBytes: Infinity } : each
    const account = openReceiveAccount(limitBytes)
    const receiver: Receiver = {
      account,
      ended: false,
      inbound: new InboundStream((bytes) => {
        if (receiver.ended || this.#phase.kind === 'ended') return
        const grant = bookConsumed(account, bytes)
        if (grant > 0) this.#link.grant(this.id, stream, grant)
      }),
    }
    this.#receivers.set(stream, receiver)
  }

  /** What a caller of ours may read. */
  #toRead(stream: number): Receiver {
    const receiver = this.#receivers.get(stream)
    if (receiver === undefined) throw new RangeError(`${this.#options.label} has no stream ${stream} to read`)
    return receiver
  }

  /** What the guest may send. */
  #receiver(stream: number, type: 'DATA' | 'END'): Receiver {
    const receiver = this.#receivers.get(stream)
    if (receiver === undefined) {
      throw violation('no-stream', `${type} on stream ${stream}, which the guest does not send`)
    }
    if (receiver.ended) throw violation('ended', `${type} after END on stream ${stream}`)
    return receiver
  }

  #onReady(sender: OutboundStream): void {
    if (this.isOpenToGuest) this.#link.ready(sender)
  }
}
