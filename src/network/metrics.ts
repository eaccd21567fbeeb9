/** Something that the policy or a limit did not let through. */
export interface NetworkRefusal {
  readonly at: Date
  /** `dns`: a question for a name. `connect`: a connection, before it stood. `tls`: one whose first bytes were not allowed. */
  readonly kind: 'dns' | 'connect' | 'tls'
  /** The name asked for, or the server name (SNI) of the first bytes, or the names that the address stands for. */
  readonly name?: string
  /** What the guest connected to; a stand-in where the real address cannot be used in the guest. */
  readonly address?: string
  readonly port?: number
  /** The rule that refused it, as it was written, or what a rule that nobody wrote is called. */
  readonly rule: string
  /** One sentence for people. */
  readonly reason: string
}

/** What one sandbox has done on the network since it began. */
export interface NetworkMetrics {
  readonly connections: {
    /** Connections that stand now. */
    readonly open: number
    /** Connections that came about. */
    readonly opened: number
    /** Connections that the policy or a limit refused, those included that a new policy ended. */
    readonly refused: number
    /** Connections allowed that did not come about: refused by the peer, unreachable, too late. */
    readonly failed: number
  }
  /** Bytes that programs in the guest sent over connections and that went out. */
  readonly bytesSent: number
  /** Bytes that came in over connections and that the guest took. */
  readonly bytesReceived: number
  readonly dns: {
    /** Questions of programs, whatever became of them. */
    readonly asked: number
    /** Questions that the policy or a limit refused. */
    readonly refused: number
    /** Questions that the host could not answer. A name that does not exist is an answer. */
    readonly failed: number
  }
  /** The last 256 refusals, the oldest first. */
  readonly refused: readonly NetworkRefusal[]
}
