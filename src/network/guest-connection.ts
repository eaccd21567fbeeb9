/** Why a connection did not come about, or ended before its time. The guest turns it into what `connect()` or `read()` says. */
export type ConnectionFailureCode = 'refused' | 'connection-refused' | 'unreachable' | 'timed-out' | 'reset' | 'busy'

export interface ConnectionFailure {
  readonly code: ConnectionFailureCode
  readonly message: string
}

/** One TCP connection that a program in the guest wants or has: both directions, with back-pressure. */
export interface GuestConnection {
  /** Where the program connects to: a dotted quad, already checked for its form. */
  readonly address: string
  readonly port: number
  /** Aborted when the guest gave up or the VM is gone. */
  readonly signal: AbortSignal
  /** Tells the guest that the connection stands. Once, and before any write. */
  connected(): void
  /** What the program sends; ends with its half-close. One reader. Reading grants credit. */
  readable(): AsyncIterable<Uint8Array>
  /** Resolves when taken; false when the exchange has ended. One at a time; until then the bytes must not change. */
  write(chunk: Uint8Array): Promise<boolean>
  /** Half-close towards the program. */
  end(): void
  /** Ends the exchange: successfully after both ends, or with an error at any time. The first call counts. */
  finish(failure?: ConnectionFailure): void
}
