import type { Socket } from 'node:net'
import { withDeadline } from '../../base/index.ts'
import type { Channel, Exchange } from '../../channel/index.ts'
import { pumpToGuest, pumpToSocket, resetSocket } from '../../network/index.ts'
import { DIAL_STREAMS, dialGuest } from '../../vm/index.ts'

export interface CarryOptions {
  readonly channel: Channel
  /** Port of the guest. */
  readonly guest: number
  /** The server in the guest has accepted. */
  readonly onConnected: () => void
  /** Bytes of the client that the guest took. */
  readonly onReceived: (bytes: number) => void
  /** Bytes of the server that the client's socket took. */
  readonly onSent: (bytes: number) => void
}

/**
 * Milliseconds for the server in the guest to accept. Within one machine that takes no time, unless its backlog is full:
 * then its kernel would try again for two minutes.
 */
const ACCEPT_TIMEOUT_MS = 30_000

/**
 * Carries a client's connection to a server in the guest until both directions have ended; a reset of either side resets the
 * other. Nothing is read from the client before the server has accepted, and then no more than the other side takes.
 * @throws what ended it otherwise; the socket is destroyed in any case
 */
export async function carryConnection(socket: Socket, options: CarryOptions): Promise<void> {
  const { channel, guest, onConnected, onReceived, onSent } = options
  const over = new AbortController()
  // Without both ends it was reset, or the listener was closed. Aborting resets the guest's side.
  const onClose = (): void => {
    if (socket.readableEnded && socket.writableFinished) return
    over.abort(socket.errored ?? new Error('the client has gone'))
  }
  socket.once('close', onClose)
  if (socket.destroyed) onClose()
  const { signal } = over
  try {
    const accepted = accept(channel, guest, signal)
    const onTimeout = (): Error => new Error(`the server did not accept within ${ACCEPT_TIMEOUT_MS} ms`)
    const exchange = await withDeadline(accepted, { timeoutMs: ACCEPT_TIMEOUT_MS, onTimeout, signal })
    onConnected()
    const toGuest = exchange.writable(DIAL_STREAMS.toGuest)
    await Promise.all([
      exchange.response,
      pumpToGuest(socket, toGuest, { signal, onBytes: onReceived }),
      pumpToSocket(exchange.readable(DIAL_STREAMS.fromGuest), socket, NOTHING, { signal, onBytes: onSent }),
    ])
  } catch (error) {
    over.abort(error)
    resetSocket(socket)
    throw error
  }
}

const NOTHING = new Uint8Array(0)

/** The exchange, when the server has accepted. */
async function accept(channel: Channel, port: number, signal: AbortSignal): Promise<Exchange<object>> {
  return await new Promise((resolve, reject) => {
    const exchange = dialGuest(channel, port, { onConnected: () => resolve(exchange), signal })
    // Once it has been accepted, what becomes of it is for whoever carries it.
    exchange.response.catch(reject)
  })
}
