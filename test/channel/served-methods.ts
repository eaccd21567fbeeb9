import {
  connectParams,
  type ConnectParams,
  type GuestExchange,
  guestMethod,
  type GuestMethods,
  resolveParams,
} from '../../src/channel/index.ts'
import { VECTORS } from './vectors.ts'

/** The name that no test's host ever answers. */
export const NAME_THAT_WAITS = 'waits.test'
/** A connection to it is left to wait. */
export const PORT_THAT_WAITS = 7
/** A connection to it is refused at once. */
export const PORT_THAT_REFUSES = 9

/** Resolves when the guest has cancelled or is gone. */
async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/**
 * The host of `conversations` in guest/wire/vectors.json, whose `about` says what it answers.
 * @param serve what becomes of a connection when it has been said to stand; by default nothing is read
 */
export function servedMethods(serve: (exchange: GuestExchange) => Promise<void> = hold): GuestMethods {
  const streams = VECTORS.constants.guestMethods['connect'] ?? { guestStreams: [], hostStreams: [] }
  const connect = guestMethod<ConnectParams>({
    params: connectParams,
    receive: streams.guestStreams,
    send: streams.hostStreams,
    serve: async ({ port }, exchange) => {
      if (port === PORT_THAT_REFUSES) return exchange.answer({ error: { code: 'refused', message: 'no' } })
      if (port === PORT_THAT_WAITS) return await aborted(exchange.signal)
      exchange.event({ event: 'connected' })
      await serve(exchange)
    },
  })
  const resolve = guestMethod({
    params: resolveParams,
    serve: async ({ name }, exchange) => {
      if (name === NAME_THAT_WAITS) return await aborted(exchange.signal)
      exchange.answer({ result: { status: 'no-name', addresses: [], ttlS: 0 } })
    },
  })
  return new Map([
    ['connect', connect],
    ['resolve', resolve],
  ])
}

async function hold({ signal }: GuestExchange): Promise<void> {
  await aborted(signal)
}
