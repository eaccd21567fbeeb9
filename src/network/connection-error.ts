import { errnoOf } from '../base/index.ts'
import type { ConnectionFailure, ConnectionFailureCode } from './guest-connection.ts'

/** A connection that failed, in the words that the guest is told. */
export class ConnectionError extends Error implements ConnectionFailure {
  readonly code: ConnectionFailureCode

  constructor(code: ConnectionFailureCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'ConnectionError'
    this.code = code
  }
}

/** connect(2), and what a local firewall or a lack of resources adds to it. */
const CODES: Readonly<Record<string, ConnectionFailureCode>> = {
  ECONNREFUSED: 'connection-refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ETIMEDOUT: 'timed-out',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ENETDOWN: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  EACCES: 'unreachable',
  EPERM: 'unreachable',
  EMFILE: 'busy',
  ENFILE: 'busy',
  ENOBUFS: 'busy',
  ENOMEM: 'busy',
  EAGAIN: 'busy',
}

/** What the system's error means for the guest; `otherwise` for an error that says nothing about it. */
export function connectionErrorOf(error: unknown, otherwise: ConnectionFailureCode): ConnectionError {
  if (error instanceof ConnectionError) return error
  const errno = errnoOf(error) ?? ''
  const message = error instanceof Error ? error.message : String(error)
  return new ConnectionError(CODES[errno] ?? otherwise, message, error)
}
