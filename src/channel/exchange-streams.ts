import { bookConsumed, bookReceived, openReceiveAccount, type ReceiveAccount, widenWindow } from './credit.ts'
import type { ReceiveStream, StreamWriter } from './exchange-options.ts'
import { InboundStream } from './inbound-stream.ts'
import { OutboundStream } from './outbound-stream.ts'
import { violation } from './violation.ts'

export interface StreamNumbers {
  /** The streams that the guest sends. */
  readonly receive?: readonly ReceiveStream[] | undefined
  /** The streams that the host sends. */
  readonly send?: readonly number[] | undefined
}

/** What the streams of an exchange need of it. */
export interface StreamsLink {
  /** Names the exchange in errors. */
  readonly label: string
  grant(stream: number, bytes: number): void
  ready(stream: OutboundStream): void
  /** END of a stream of `send` is being written. */
  sentEnd(): void
}

interface Receiver {
  readonly account: ReceiveAccount
  readonly inbound: InboundStream
  ended: boolean
}

/**
 * The streams of one exchange, whoever began it: their books of credit, and the rules that a frame of the guest can break.
 */
export class ExchangeStreams {
  readonly #link: StreamsLink
  readonly #receivers = new Map<number, Receiver>()
  readonly #senders = new Map<number, OutboundStream>()
  #over = false

  constructor(id: number, { receive, send }: StreamNumbers, link: StreamsLink) {
    this.#link = link
    for (const each of receive ?? []) this.#openReceiver(each)
    for (const stream of send ?? []) {
      const sender = new OutboundStream(
        id,
        stream,
        (ready) => link.ready(ready),
        () => link.sentEnd(),
      )
      this.#senders.set(stream, sender)
    }
  }

  readable(stream: number): AsyncIterableIterator<Uint8Array, undefined> {
    return this.#toRead(stream).inbound
  }

  widen(stream: number, bytes: number): void {
    widenWindow(this.#toRead(stream).account, bytes)
  }

  writable(stream: number): StreamWriter {
    const sender = this.#senders.get(stream)
    if (sender === undefined) throw new RangeError(`${this.#link.label} has no stream ${stream} to write`)
    return sender
  }

  /** A stream of `receive` whose END has not come, if any. */
  get unendedStream(): number | undefined {
    for (const [stream, { ended }] of this.#receivers) if (!ended) return stream
    return undefined
  }

  /** Whether END of every stream of `send` has been written. */
  get hasSentEnds(): boolean {
    return [...this.#senders.values()].every(({ isOver }) => isOver)
  }

  /** Whether the guest waits for a reader of ours. */
  get isHeldBack(): boolean {
    return [...this.#receivers.values()].some(({ account, inbound }) => account.window === 0 && inbound.hasQueued)
  }

  /** What was written so far may leave now. */
  announce(): void {
    for (const sender of this.#senders.values()) this.#link.ready(sender)
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

  /** The consumer is gone: what waits and what comes is dropped, with credit. Who still uses a stream gets `error`. */
  drop(error: Error): void {
    for (const { inbound } of this.#receivers.values()) inbound.drop(error)
    for (const sender of this.#senders.values()) sender.finish(error)
  }

  /** No more frames: writers are told so, and readers of streams without END get `error` behind what came. */
  finish(error: Error): void {
    this.#over = true
    for (const { inbound } of this.#receivers.values()) inbound.fail(error)
    for (const sender of this.#senders.values()) sender.finish()
  }

  /** The exchange broke: readers get `error` behind what came, writers at once. */
  fail(error: Error): void {
    this.#over = true
    for (const { inbound } of this.#receivers.values()) inbound.fail(error)
    for (const sender of this.#senders.values()) sender.finish(error)
  }

  #openReceiver(each: ReceiveStream): void {
    const { stream, limitBytes } = typeof each === 'number' ? { stream: each, limitBytes: Infinity } : each
    const account = openReceiveAccount(limitBytes)
    const receiver: Receiver = {
      account,
      ended: false,
      inbound: new InboundStream((bytes) => {
        if (receiver.ended || this.#over) return
        const grant = bookConsumed(account, bytes)
        if (grant > 0) this.#link.grant(stream, grant)
      }),
    }
    this.#receivers.set(stream, receiver)
  }

  /** What a caller of ours may read. */
  #toRead(stream: number): Receiver {
    const receiver = this.#receivers.get(stream)
    if (receiver === undefined) throw new RangeError(`${this.#link.label} has no stream ${stream} to read`)
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
}
