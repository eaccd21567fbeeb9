import { connect as connectTcp, type Socket } from 'node:net'
import { ConnectionError, connectionErrorOf } from '../connection-error.ts'
import type { ConnectionFailureCode } from '../guest-connection.ts'

/** Begins a TCP connection to an address, never to a name. The socket allows half-open connections. */
export type Connect = (address: string, port: number) => Socket

/** A socket that is connected to `address`, one of those that were to be tried. */
export interface DirectConnection {
  readonly socket: Socket
  readonly address: string
}

export interface DirectOptions {
  readonly connect: Connect
  /** Ends the attempt; its reason is thrown. */
  readonly signal: AbortSignal
}

/** Milliseconds after which the next address is tried beside the one that has not answered (RFC 8305, section 5). */
const NEXT_ADDRESS_MS = 250

/** Milliseconds of silence after which the host asks whether the peer is still there. */
const KEEP_ALIVE_MS = 60_000

/** Bytes that wait in a socket, each way, before its other side is slowed down: as much as one read of the system gives. */
const BUFFER_BYTES = 65_536

/** Addresses of a name that are tried; a name can have hundreds, and each is a socket. */
const MAX_ADDRESSES = 8

/**
 * The real `Connect`. Nagle's algorithm has had its say in the guest: what comes from there goes out as it comes. Like the VM
 * it serves, the socket holds no process open.
 */
export function connectSocket(address: string, port: number): Socket {
  // `highWaterMark` is one of the options of every stream, which the types of `connect` leave out.
  const options = {
    host: address,
    port,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    highWaterMark: BUFFER_BYTES,
  }
  return connectTcp(options).unref()
}

/**
 * A connection to the first of `addresses` that answers: each is tried when the one before it has failed or has said
 * nothing for 250 ms.
 * @throws ConnectionError for what most of all explains the failure; the signal's reason
 */
export async function connectDirect(
  addresses: readonly string[],
  port: number,
  { connect, signal }: DirectOptions,
): Promise<DirectConnection> {
  signal.throwIfAborted()
  const queue = addresses.slice(0, MAX_ADDRESSES)
  const sockets = new Set<Socket>()
  const failures: ConnectionError[] = []
  return await new Promise<DirectConnection>((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const settle = (finish: () => void, winner?: Socket): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      for (const socket of sockets) if (socket !== winner) socket.destroy()
      sockets.clear()
      finish()
    }
    const onAbort = (): void => settle(() => reject(signal.reason))
    const next = (): void => {
      clearTimeout(timer)
      const address = queue.shift()
      if (address === undefined) {
        if (sockets.size === 0) settle(() => reject(mostTelling(failures)))
        return
      }
      const socket = begin(connect, address, port)
      sockets.add(socket)
      socket.once('connect', () => {
        if (sockets.has(socket)) settle(() => resolve({ socket, address }), socket)
      })
      socket.once('error', (error) => {
        if (!sockets.delete(socket)) return
        failures.push(connectionErrorOf(error, 'unreachable'))
        next()
      })
      timer = setTimeout(next, NEXT_ADDRESS_MS).unref()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    next()
  })
}

function begin(connect: Connect, address: string, port: number): Socket {
  const socket = connect(address, port)
  // Whoever owns the socket learns of its end from `close`; an error before there is an owner must not end the process.
  socket.on('error', () => undefined)
  return socket
}

const TELLING: readonly ConnectionFailureCode[] = ['connection-refused', 'reset', 'timed-out', 'unreachable', 'busy']

/** A refusal says more than a time-out, which says more than a missing route: often that of IPv6. */
function mostTelling(failures: readonly ConnectionError[]): ConnectionError {
  const sorted = [...failures].sort((a, b) => TELLING.indexOf(a.code) - TELLING.indexOf(b.code))
  return sorted[0] ?? new ConnectionError('unreachable', 'the name has no address that could be tried')
}
