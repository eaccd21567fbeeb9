import {
  type Channel,
  type GuestExchange,
  guestMethod,
  connectParams,
  type ConnectParams,
  MOST_ADDRESSES,
  type ResolveParams,
  resolveParams,
} from '../channel/index.ts'
import type { Gateway, GuestConnection } from '../network/index.ts'

/** Stream numbers of `connect`. */
const STREAMS = { fromGuest: 0, toGuest: 1 } as const

/** What answers the guest: see `Gateway`. */
export type NetworkServer = Pick<Gateway, 'resolve' | 'connect'>

/** Lets the guest use the network by way of `server`. Once per channel, before the guest is told that it may. */
export function serveNetwork(channel: Channel, server: NetworkServer): void {
  const connect = guestMethod<ConnectParams>({
    params: connectParams,
    receive: [STREAMS.fromGuest],
    send: [STREAMS.toGuest],
    serve: async (params, exchange) => await server.connect(connectionOf(params, exchange)),
  })
  const resolve = guestMethod<ResolveParams>({
    params: resolveParams,
    serve: async ({ name, type }, exchange) => {
      const { status, addresses, ttlS } = await server.resolve(name, type, exchange.signal)
      exchange.answer({ result: { status, addresses: addresses.slice(0, MOST_ADDRESSES), ttlS } })
    },
  })
  channel.serve(
    new Map([
      ['connect', connect],
      ['resolve', resolve],
    ]),
  )
}

/** The exchange as the gateway knows it. */
function connectionOf({ address, port }: ConnectParams, exchange: GuestExchange): GuestConnection {
  const writer = exchange.writable(STREAMS.toGuest)
  let isOver = false
  return {
    address,
    port,
    signal: exchange.signal,
    connected: () => exchange.event({ event: 'connected' }),
    readable: () => exchange.readable(STREAMS.fromGuest),
    write: async (chunk) => {
      try {
        return await writer.write(chunk)
      } catch (error) {
        // That the exchange has ended is no failure of whoever writes; a write at the wrong time is.
        if (isOver || exchange.signal.aborted) return false
        throw error
      }
    },
    end: () => writer.end(),
    finish: (failure) => {
      isOver = true
      exchange.answer(failure === undefined ? { result: {} } : { error: failure })
    },
  }
}
