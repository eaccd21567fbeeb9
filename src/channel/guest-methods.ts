import type { z } from 'zod'
import type { StreamWriter } from './exchange-options.ts'
import { checkGuest, type GuestObject } from './guest-json.ts'

/** What a request of the guest ends in. */
export type GuestAnswer =
  | { readonly result: object }
  | {
      readonly error: {
        /** One of the codes of the method (docs/protocol.md). */
        readonly code: string
        /** For people, in words of ours. */
        readonly message: string
      }
    }

/** One request of the guest and everything under its id. */
export interface GuestExchange {
  readonly id: number
  /** Aborted when the guest has cancelled the exchange, and when the channel has ended; the reason is an error. */
  readonly signal: AbortSignal
  /**
   * The chunks of a stream of `receive`, for one reader; reading grants credit. It throws when the exchange ended before the
   * guest's END: what came before that is not the whole.
   */
  readable(stream: number): AsyncIterableIterator<Uint8Array, undefined>
  /** The writer of a stream of `send`. */
  writable(stream: number): StreamWriter
  /** Sends an event. From the first one on, the guest may send on its streams. No effect after the end. */
  event(body: { readonly event: string }): void
  /**
   * Says how the exchange ends; the first call counts. An error drops what is under way at once. A result waits for END of
   * all streams in both directions. Either leaves when the method's promise has settled as well, so that what the guest
   * can keep busy is bounded by what it may have open.
   */
  answer(answer: GuestAnswer): void
}

interface MethodStreams {
  readonly receive?: readonly number[]
  readonly send?: readonly number[]
}

/** A method that the guest may call. */
export interface GuestMethod extends MethodStreams {
  /** Checks the params, which are hostile: throws `ProtocolError` for others than the method's. */
  readonly prepare: (params: GuestObject) => (exchange: GuestExchange) => Promise<void>
}

export interface GuestMethodOptions<P> extends MethodStreams {
  readonly params: z.ZodType<P>
  /**
   * Serves one request until it has ended, and gives its answer through the exchange. If it settles without one, or rejects,
   * the answer is the error `reset`.
   */
  readonly serve: (params: P, exchange: GuestExchange) => Promise<void>
}

/** The methods of one channel, by their names on the wire. A Map: the guest names them, and must not find a prototype's. */
export type GuestMethods = ReadonlyMap<string, GuestMethod>

export function guestMethod<P>({ params: schema, serve, ...streams }: GuestMethodOptions<P>): GuestMethod {
  return {
    ...streams,
    prepare: (params) => {
      const checked = checkGuest(schema, params, 'REQUEST')
      return async (exchange) => await serve(checked, exchange)
    },
  }
}
