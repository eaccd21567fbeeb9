/** What the bindings say about an address that the guest uses. */
export interface BoundAddress {
  /** Names that gave this address to the sandbox; never empty. A stand-in has one. */
  readonly names: readonly string[]
  /** Where it really leads: itself, or the addresses behind a stand-in, or `proxy`. Never empty. */
  readonly realAddresses: readonly string[]
}

export interface NameBindingsOptions {
  /** Monotonic milliseconds, e.g. `performance.now`. */
  readonly now: () => number
  /** Pairs of name and address kept; the one answered longest ago goes first. @default 4096 */
  readonly maxEntries?: number
}

/**
 * Which names gave which addresses to one sandbox, and until when. Pure but for its own table.
 *
 * A binding lives max(ttl, 60 s) from its last answer, and at least 10 min from its last use (`touch`), but never longer
 * than 24 h from its last answer. Open connections are not affected by its end.
 */
export class NameBindings {
  constructor(_options: NameBindingsOptions) {
    throw new Error('follows')
  }

  /**
   * Notes an answer and says what to tell the guest: the IPv4 addresses it can be given as they are, at most 12; else one
   * stand-in out of 198.18.0.0/15.
   * @param name canonical (`canonicalHostName`)
   * @param realAddresses what `filterAnswers` left, IPv4 and IPv6; `['proxy']` if the host's proxy resolves the name
   * @param ttlS seconds
   */
  bind(_name: string, _realAddresses: readonly string[], _ttlS: number): readonly string[] {
    throw new Error('follows')
  }

  /** What is bound to an address now; `undefined` if nothing is. */
  lookup(_address: string): BoundAddress | undefined {
    throw new Error('follows')
  }

  /** A connection to the address was allowed: its bindings live at least 10 min from now. */
  touch(_address: string): void {
    throw new Error('follows')
  }

  /** How many bindings there are that have not expired. */
  get size(): number {
    throw new Error('follows')
  }
}
