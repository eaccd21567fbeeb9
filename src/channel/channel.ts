import type { Duplex } from 'node:stream'
import {
  abortedError,
  CapacityError,
  InvalidInputError,
  type Logger,
  ProtocolError,
  VmLostError,
  withDeadline,
} from '../base/index.ts'
import { captureCallSite } from './call-site.ts'
import { type ChannelEnd, describeEnd, errorOfEnd } from './channel-end.ts'
import type { Exchange, ExchangeOptions, RequestOptions } from './exchange-options.ts'
import { encodeEmpty, encodeJson, type FrameHeader } from './frame.ts'
import { FrameDecoder } from './frame-decoder.ts'
import { type Hello, parseHello } from './guest-json.ts'
import type { GuestMethods } from './guest-methods.ts'
import type { InboundStream } from './inbound-stream.ts'
import { type ExchangeLink, type ExchangePort, LiveExchange } from './live-exchange.ts'
import { observed } from './observed.ts'
import type { ServedExchange } from './served-exchange.ts'
import { ServedExchanges } from './served-exchanges.ts'
import { violation } from './violation.ts'
import { askerOf, FRAME_RULES, GENERATION, HIGHEST_ID } from './wire.ts'
import { WriteQueue } from './write-queue.ts'

export interface ChannelOptions {
  readonly signal?: AbortSignal | undefined
  /** Milliseconds until the agent must have said HELLO. */
  readonly helloTimeoutMs: number
  readonly logger?: Logger | undefined
}

/** Far more than a VM can work on at once: a caller that has so many open does not wait for answers. */
const MAX_OPEN_EXCHANGES = 1_024

/** Requests that the socket has not taken yet: two of the largest. */
const QUEUED_LIMIT_BYTES = 33_554_432

/** A destroyed socket closes within a turn of the event loop. */
const CLOSE_TIMEOUT_MS = 5_000

type ChannelState =
  | { readonly kind: 'opening'; readonly resolve: () => void; readonly reject: (error: Error) => void }
  /** A resumed agent has said its HELLO to another host. */
  | { readonly kind: 'ready'; readonly hello: Hello | undefined }
  | { readonly kind: 'ended'; readonly end: ChannelEnd }

/**
 * The conversation with the agent of one VM over one socket, which the channel owns (docs/protocol.md).
 *
 * ```text
 *   opening ── HELLO, WELCOME ──▶ ready ── close, the socket's end, a broken rule, a deadline ──▶ ended
 *      └───────────────── the same, the opening's own deadline or signal ───────────────────────▶
 * ```
 *
 * Every byte read is hostile: any sequence is either a valid conversation or ends the channel with `ProtocolError`.
 * What the guest can make the host hold is bounded by credit, by the limit of one frame, and by one entry per stream.
 */
export class Channel implements AsyncDisposable {
  /** Resolves once with the first cause, when the channel is of no more use. */
  readonly closed: Promise<ChannelEnd>
  readonly #socket: Duplex
  readonly #logger: Logger | undefined
  readonly #queue: WriteQueue
  readonly #decoder: FrameDecoder
  readonly #exchanges = new Map<number, ExchangePort>()
  readonly #link: ExchangeLink
  readonly #served: ServedExchanges
  readonly #socketClosed: Promise<void>
  // The promise's executor sets it within the constructor.
  #announceEnd: (end: ChannelEnd) => void = () => undefined
  #state: ChannelState
  #nextId = 1
  /** The stream of the DATA frame that is being read. */
  #inbound: InboundStream | undefined
  #closing: Promise<void> | undefined

  /**
   * Waits for the agent's HELLO and answers it. The socket belongs to the channel from this call on, and is destroyed
   * if it fails: with `VmLostError` when the guest is silent or gone, `ProtocolError`, or `AbortedError`.
   */
  static async open(socket: Duplex, options: ChannelOptions): Promise<Channel> {
    const { signal, helloTimeoutMs, logger } = options
    let channel: Channel | undefined
    try {
      const opened = new Promise<void>((resolve, reject) => {
        channel = new Channel(socket, { kind: 'opening', resolve, reject }, logger)
      })
      const onTimeout = (): VmLostError => openingError(`The agent did not say HELLO within ${helloTimeoutMs} ms`)
      await withDeadline(observed(opened), { timeoutMs: helloTimeoutMs, onTimeout, signal })
    } catch (error) {
      await channel?.close()
      throw error
    }
    if (channel === undefined) throw new TypeError('The channel was not made')
    return channel
  }

  /**
   * Goes on with an agent that was resumed from a template: it said HELLO before it was saved, and waits for requests. The
   * VM must be running: bytes sent before that would be lost.
   */
  static resume(socket: Duplex, options: Pick<ChannelOptions, 'logger'> = {}): Channel {
    return new Channel(socket, { kind: 'ready', hello: undefined }, options.logger)
  }

  private constructor(socket: Duplex, state: ChannelState, logger: Logger | undefined) {
    this.#socket = socket
    this.#state = state
    this.#logger = logger
    this.#queue = new WriteQueue(socket)
    this.#decoder = new FrameDecoder('guest', {
      frame: (header, payload) => this.#onFrame(header, payload),
      data: ({ id, stream, length }) => {
        this.#inbound = this.#port(id, 'DATA')?.onData(stream, length)
      },
      dataBytes: (piece) => this.#inbound?.push(piece),
    })
    this.#link = {
      sendCancel: (id) => this.#queue.control(id, encodeEmpty('CANCEL', id, 0)),
      grant: (id, stream, bytes) => this.#queue.credit(id, stream, bytes),
      ready: (stream) => this.#queue.ready(stream),
      ended: (id) => {
        this.#exchanges.delete(id)
        this.#queue.withdraw(id)
      },
      unresponsive: (label, waitedMs) => this.#end({ kind: 'unresponsive', label, waitedMs }),
    }
    this.#served = new ServedExchanges({
      logger,
      grant: (id, stream, bytes) => this.#queue.credit(id, stream, bytes),
      ready: (stream) => this.#queue.ready(stream),
      withdraw: (id) => this.#queue.withdraw(id),
      sendEvent: (id, frame) => this.#queue.control(id, frame),
      sendResponse: (id, frame, onSent) => this.#queue.control(id, frame, onSent),
    })
    this.closed = new Promise((resolve) => {
      this.#announceEnd = resolve
    })
    this.#socketClosed = new Promise((resolve) => {
      // Not `socket.closed`, which is true before the descriptor is closed.
      if (socket.destroyed) resolve()
      else socket.once('close', () => resolve())
    })
    this.#listen()
  }

  get isClosed(): boolean {
    return this.#state.kind === 'ended'
  }

  /** What the agent said of itself. */
  get hello(): Hello | undefined {
    return this.#state.kind === 'ready' ? this.#state.hello : undefined
  }

  /** A request without streams: its result, or the errors of `Exchange.response`. */
  request<T>(method: string, params: object, options: RequestOptions<T>): Promise<T> {
    return this.#begin(method, params, options).response
  }

  /**
   * Begins an exchange with streams and events. Never throws: what is wrong from the start, such as a channel that has
   * ended, is the rejection of its `response`.
   */
  exchange<T, E = never>(method: string, params: object, options: ExchangeOptions<T, E>): Exchange<T> {
    return this.#begin(method, params, options)
  }

  /**
   * Lets the guest begin exchanges by these methods; before, a REQUEST of it is a broken protocol. To be called once, before
   * the guest is told that it may.
   */
  serve(methods: GuestMethods): void {
    this.#served.serve(methods)
  }

  /** Ends the channel at once; what is open rejects. Resolves when the socket is closed. Any number of times. */
  async close(): Promise<void> {
    this.#end({ kind: 'closed' })
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #begin<T, E>(method: string, params: object, options: ExchangeOptions<T, E>): LiveExchange<T, E> {
    const id = this.#nextId
    const exchange = new LiveExchange(id, options, this.#link, captureCallSite())
    const refusal = this.#refusal(options)
    if (refusal !== undefined) {
      exchange.onLost(refusal)
      return exchange
    }
    let frame: Buffer
    try {
      frame = encodeJson('REQUEST', id, { method, params })
    } catch (error) {
      const limit = FRAME_RULES.REQUEST.limitBytes
      const message = `${options.label}: expected parameters of at most ${limit} bytes of JSON`
      exchange.onLost(() => new InvalidInputError(message, { field: method }, error))
      return exchange
    }
    this.#nextId += 2
    this.#exchanges.set(id, exchange)
    this.#queue.control(id, frame, () => exchange.onSent())
    return exchange
  }

  /** Why a new exchange cannot begin now, if so. */
  #refusal({ signal }: Pick<RequestOptions<unknown>, 'signal'>): ((label: string) => Error) | undefined {
    const state = this.#state
    if (state.kind === 'ended') return (label) => errorOfEnd(state.end, label, false)
    if (signal?.aborted) return () => abortedError(signal)
    if (this.#exchanges.size >= MAX_OPEN_EXCHANGES || this.#queue.queuedBytes >= QUEUED_LIMIT_BYTES) {
      return (label) => new CapacityError(`${label}: too many requests to this VM are under way`, { waitedMs: 0 })
    }
    if (this.#nextId > HIGHEST_ID) {
      return (label) => new CapacityError(`${label}: this VM has served all the requests it can`, { waitedMs: 0 })
    }
    return undefined
  }

  #listen(): void {
    const socket = this.#socket
    socket.on('data', (chunk: Buffer) => this.#onBytes(chunk))
    socket.on('end', () => this.#end({ kind: 'peer-closed', torn: !this.#decoder.atBorder }))
    // Stays attached after the end: an error of a destroyed socket has nobody else to hear it.
    socket.on('error', (error) => this.#end({ kind: 'peer-closed', torn: !this.#decoder.atBorder, error }))
    socket.on('close', () => this.#end({ kind: 'peer-closed', torn: !this.#decoder.atBorder }))
    if (socket.destroyed) this.#end({ kind: 'peer-closed', torn: false })
  }

  #onBytes(chunk: Buffer): void {
    if (this.#state.kind === 'ended') return
    try {
      this.#decoder.push(chunk)
    } catch (error) {
      this.#end(error instanceof ProtocolError ? { kind: 'protocol-error', error } : { kind: 'failed', error })
    }
  }

  #onFrame(header: FrameHeader, payload: Uint8Array): void {
    const { type, id, stream } = header
    switch (type) {
      case 'HELLO':
        return this.#onHello(payload)
      case 'RESPONSE':
        return this.#exchange(id, type).onResponse(payload)
      case 'EVENT':
        return this.#exchange(id, type).onEvent(payload)
      case 'CREDIT':
        return this.#port(id, type)?.onCredit(stream, readCredit(payload))
      case 'END':
        return this.#port(id, type)?.onEnd(stream)
      case 'REQUEST':
        this.#checkOpening(type)
        return this.#served.begin(id, payload)
      case 'CANCEL':
        return this.#servedExchange(id, type)?.onCancel()
      case 'WELCOME':
      case 'DATA':
        throw violation('direction', `${type} from the guest`)
    }
  }

  #onHello(payload: Uint8Array): void {
    const state = this.#state
    if (state.kind !== 'opening') throw violation('opening', 'HELLO after the opening')
    const hello = parseHello(payload)
    this.#state = { kind: 'ready', hello }
    this.#queue.control(0, encodeJson('WELCOME', 0, { generation: GENERATION }))
    this.#logger?.debug('channel open', { agent: hello.agent })
    state.resolve()
  }

  #checkOpening(type: string): void {
    if (this.#state.kind === 'opening') throw violation('opening', `${type} before HELLO`)
  }

  /** The exchange, of whichever side, that a frame of a stream belongs to; undefined if it crossed the RESPONSE. */
  #port(id: number, type: string): ExchangePort | ServedExchange | undefined {
    return askerOf(id) === 'guest' ? this.#servedExchange(id, type) : this.#exchange(id, type)
  }

  #servedExchange(id: number, type: string): ServedExchange | undefined {
    this.#checkOpening(type)
    return this.#served.find(id, type)
  }

  /** The exchange of the host that a frame of the guest belongs to. */
  #exchange(id: number, type: string): ExchangePort {
    this.#checkOpening(type)
    const exchange = this.#exchanges.get(id)
    if (exchange === undefined || !exchange.isOpenToGuest) {
      throw violation('not-open', `${type} of exchange ${id}, which is not open`)
    }
    return exchange
  }

  /** The first call decides how the channel ended; everything open fails with that. */
  #end(end: ChannelEnd): void {
    const before = this.#state
    if (before.kind === 'ended') return
    this.#state = { kind: 'ended', end }
    this.#logger?.debug('channel ended', { kind: end.kind, open: this.#exchanges.size })
    this.#decoder.stop()
    this.#queue.stop()
    this.#closing = this.#destroySocket()
    if (before.kind === 'opening') {
      before.reject(end.kind === 'protocol-error' ? end.error : openingError(describeEnd(end), end))
    }
    for (const exchange of this.#exchanges.values()) {
      exchange.onLost((label, dispatched) => errorOfEnd(end, label, dispatched))
    }
    this.#served.onLost((label) => errorOfEnd(end, label, true))
    this.#announceEnd(end)
  }

  async #destroySocket(): Promise<void> {
    this.#socket.destroy()
    const onTimeout = (): Error => new Error(`The socket did not close within ${CLOSE_TIMEOUT_MS} ms`)
    await withDeadline(this.#socketClosed, { timeoutMs: CLOSE_TIMEOUT_MS, onTimeout }).catch((error: Error) => {
      this.#logger?.warn('channel', { error: error.message })
    })
  }
}

function readCredit(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getUint32(0, true)
}

function openingError(message: string, end?: ChannelEnd): VmLostError {
  const cause = end !== undefined && 'error' in end ? end.error : undefined
  return new VmLostError(message, { dispatched: false }, cause)
}
