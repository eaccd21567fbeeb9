import type { z } from 'zod'

/** A stream that the guest sends. */
export type ReceiveStream = number | { readonly stream: number; readonly limitBytes: number }

export interface RequestOptions<T> {
  /** Names the request in errors, e.g. `start python`. */
  readonly label: string
  /** The shape of the method's result; a result of another shape is a broken protocol. */
  readonly result: z.ZodType<T>
  /** Rejects the call at once and sends CANCEL; what the guest still sends is dropped. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds in which the guest must answer, or the channel is closed as unresponsive. */
  readonly timeoutMs: number
  /**
   * Milliseconds in which the guest must answer after CANCEL, or the channel is closed as unresponsive.
   * @default 25 000: the ladder from SIGINT to SIGKILL takes 5 000, a starved guest under emulation the rest
   */
  readonly cancelTimeoutMs?: number | undefined
}

export interface ExchangeOptions<T, E = never> extends Omit<RequestOptions<T>, 'timeoutMs'> {
  /** Milliseconds in which the guest must answer. @default none: a program runs as long as it may */
  readonly timeoutMs?: number | undefined
  /** The streams that the guest sends. With `limitBytes`, more than that is a broken protocol. */
  readonly receive?: readonly ReceiveStream[]
  /** The streams that the host sends. */
  readonly send?: readonly number[]
  /** The shape of the method's events. Without it, any event is a broken protocol. */
  readonly event?: z.ZodType<E>
  /** Called with each event as it arrives. If it throws, the exchange fails with that error and is cancelled. */
  readonly onEvent?: (event: E) => void
  /** More events than this are a broken protocol. @default 256 */
  readonly maxEvents?: number
}

export interface StreamWriter {
  /**
   * Sends `chunk` as the guest grants credit, and resolves when the socket has taken it; until then its bytes must
   * not change. False when the exchange ended first. One write at a time.
   */
  write(chunk: Uint8Array): Promise<boolean>
  /** Ends the stream behind what has been written. */
  end(): void
}

/** One request and everything under its id. */
export interface Exchange<T> {
  readonly id: number
  /**
   * The result. Rejects with `RequestRefusedError` when the guest answers with an error, `AbortedError` on the signal,
   * `ProtocolError`, `VmLostError` or `SandboxClosedError` when the channel ends first. Never an unhandled rejection.
   */
  readonly response: Promise<T>
  /** Resolves when nothing more can come under this id: after RESPONSE, or when the channel has ended. */
  readonly settled: Promise<void>
  /**
   * The chunks of a stream of `receive`, for one reader. Credit is granted as chunks are taken: who does not read
   * slows this stream and no other. Leaving the loop drops the rest. Never keep many small chunks: copy or decode them.
   */
  readable(stream: number): AsyncIterableIterator<Uint8Array, undefined>
  /**
   * Lets a stream of `receive` have a window of `bytes`, which must be more than it opens with, once its reader has begun
   * to take from it: for content, where a sender that waits for credit costs more than the memory. To be called once.
   */
  widen(stream: number, bytes: number): void
  /** The writer of a stream of `send`. */
  writable(stream: number): StreamWriter
  /** Asks the guest to end soon. The response still comes; the caller must read on for it to get through. */
  cancel(): void
}
