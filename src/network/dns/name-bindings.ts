import { parseAddress } from '../policy/ip-address.ts'
import { isGivable, STAND_IN_COUNT, standIn } from './stand-ins.ts'

/** What the bindings say about an address that the guest uses. */
export interface BoundAddress {
  /** Names that gave this address to the sandbox; never empty. A stand-in has one. */
  readonly names: readonly string[]
  /** Where it really leads: itself, or the addresses behind a stand-in, or `BY_PROXY`. Never empty. */
  readonly realAddresses: readonly string[]
}

export interface NameBindingsOptions {
  /** Monotonic milliseconds, e.g. `performance.now`. */
  readonly now: () => number
  /** Pairs of name and address kept, 1–65 535; the one answered longest ago goes first. @default 4096 */
  readonly maxEntries?: number
}

/** As many as the wire takes. Of a longer answer the first are kept. */
const MAX_ADDRESSES = 12
/**
 * Every name of an address is held against every rule at each connection: without a bound a guest with a wildcard of its
 * own could make that as slow as it likes. The name answered longest ago goes first.
 */
const MAX_NAMES_PER_ADDRESS = 64
/** Resolvers of programs keep short-lived answers longer than they are told. */
const SHORTEST_LIFE_MS = 60_000
/** Programs reconnect to an address they hold without asking again: connection pools, clients of databases. */
const LIFE_AFTER_USE_MS = 600_000
/** However long a TTL, and however often used: an address may since belong to somebody else. */
const LONGEST_LIFE_MS = 86_400_000

interface Binding {
  readonly name: string
  readonly address: string
  readonly realAddresses: readonly string[]
  readonly answeredAt: number
  /** What the TTL gives, from `answeredAt`. */
  readonly lifeMs: number
  usedAt: number
}

/**
 * Which names gave which addresses to one sandbox, and until when. Pure but for its own table.
 *
 * A binding lives max(ttl, 60 s) from its last answer, and at least 10 min from its last use (the answer, `touch`), but
 * never longer than 24 h from its last answer. Open connections are not affected by its end. A name answered with other
 * addresses keeps the former ones until they expire: programs hold them.
 */
export class NameBindings {
  readonly #now: () => number
  readonly #maxEntries: number
  /** In the order of their last answers, by name and address. */
  readonly #bindings = new Map<string, Binding>()
  /** The same by address, then by name. */
  readonly #byAddress = new Map<string, Map<string, Binding>>()
  readonly #standIns = new Map<string, string>()
  #nextStandIn = 0

  constructor({ now, maxEntries = 4096 }: NameBindingsOptions) {
    // Fewer bindings than stand-ins: so one is always free.
    if (!Number.isInteger(maxEntries) || maxEntries < 1 || maxEntries > STAND_IN_COUNT / 2) {
      throw new RangeError(`maxEntries: expected 1–${STAND_IN_COUNT / 2}, got ${maxEntries}`)
    }
    this.#now = now
    this.#maxEntries = maxEntries
  }

  /**
   * Notes an answer and says what to tell the guest: the IPv4 addresses it can be given as they are, at most 12; else one
   * stand-in out of 198.18.0.0/15 for all of them, the same one as long as it is bound to the name.
   * @param name canonical (`canonicalHostName`)
   * @param realAddresses what `filterAnswers` left, IPv4 and IPv6; `[BY_PROXY]` if the host's proxy resolves the name
   * @param ttlS seconds; what is no positive number counts as 0
   * @returns empty if there are no real addresses
   */
  bind(name: string, realAddresses: readonly string[], ttlS: number): readonly string[] {
    const first = realAddresses.slice(0, MAX_ADDRESSES)
    if (first.length === 0) return []
    const lifeMs = Math.min(Math.max(ttlS > 0 ? ttlS * 1000 : 0, SHORTEST_LIFE_MS), LONGEST_LIFE_MS)
    const givable = [...new Set(realAddresses.flatMap(asGiven))].slice(0, MAX_ADDRESSES)
    if (givable.length === 0) {
      const address = this.#standInFor(name)
      this.#note(name, address, first, lifeMs)
      return [address]
    }
    for (const address of givable) this.#note(name, address, [address], lifeMs)
    // With a bound below 12 entries the first of these may be gone again: what is not bound must not be told.
    return givable.filter((address) => this.#byAddress.get(address)?.has(name))
  }

  /** What is bound to an address now; `undefined` if nothing is. Does not count as use. */
  lookup(address: string): BoundAddress | undefined {
    const live = this.#live(address)
    const [first] = live
    if (first === undefined) return undefined
    return { names: live.map(({ name }) => name), realAddresses: first.realAddresses }
  }

  /** A connection to the address was allowed: its bindings live at least 10 min from now. */
  touch(address: string): void {
    const now = this.#now()
    for (const binding of this.#live(address)) binding.usedAt = now
  }

  /** How many bindings there are that have not expired. */
  get size(): number {
    this.#dropExpired()
    return this.#bindings.size
  }

  #note(name: string, address: string, realAddresses: readonly string[], lifeMs: number): void {
    const now = this.#now()
    const binding = { name, address, realAddresses, answeredAt: now, lifeMs, usedAt: now }
    const known = this.#bindings.get(keyOf(binding))
    if (known !== undefined) this.#drop(known)
    if (this.#bindings.size >= this.#maxEntries) this.#makeRoom()
    this.#bindings.set(keyOf(binding), binding)
    const names = this.#byAddress.get(address) ?? new Map<string, Binding>()
    this.#byAddress.set(address, names.set(name, binding))
    const [oldest] = names.values()
    if (names.size > MAX_NAMES_PER_ADDRESS && oldest !== undefined) this.#forget(oldest)
  }

  /** The stand-in that is bound to a name, or the next free one: one given up is given out again as late as possible. */
  #standInFor(name: string): string {
    const bound = this.#standIns.get(name)
    if (bound !== undefined && this.#live(bound).length > 0) return bound
    for (;;) {
      const address = standIn(this.#nextStandIn)
      this.#nextStandIn = (this.#nextStandIn + 1) % STAND_IN_COUNT
      if (this.#live(address).length > 0) continue
      this.#standIns.set(name, address)
      return address
    }
  }

  #live(address: string): readonly Binding[] {
    const now = this.#now()
    const live: Binding[] = []
    for (const binding of [...(this.#byAddress.get(address)?.values() ?? [])]) {
      if (expiryOf(binding) > now) live.push(binding)
      else this.#forget(binding)
    }
    return live
  }

  #makeRoom(): void {
    this.#dropExpired()
    for (const binding of this.#bindings.values()) {
      if (this.#bindings.size < this.#maxEntries) return
      this.#forget(binding)
    }
  }

  #dropExpired(): void {
    const now = this.#now()
    for (const binding of this.#bindings.values()) if (expiryOf(binding) <= now) this.#forget(binding)
  }

  #forget(binding: Binding): void {
    this.#drop(binding)
    if (this.#standIns.get(binding.name) === binding.address) this.#standIns.delete(binding.name)
  }

  #drop(binding: Binding): void {
    this.#bindings.delete(keyOf(binding))
    const names = this.#byAddress.get(binding.address)
    names?.delete(binding.name)
    if (names?.size === 0) this.#byAddress.delete(binding.address)
  }
}

/** The form in which the guest can be given an address as it is, if it can. */
function asGiven(text: string): string[] {
  const address = parseAddress(text)
  return address !== undefined && isGivable(address) ? [address.text] : []
}

/** Neither names nor addresses have spaces. */
function keyOf({ name, address }: Pick<Binding, 'name' | 'address'>): string {
  return `${name} ${address}`
}

function expiryOf({ answeredAt, lifeMs, usedAt }: Binding): number {
  return Math.min(Math.max(answeredAt + lifeMs, usedAt + LIFE_AFTER_USE_MS), answeredAt + LONGEST_LIFE_MS)
}
