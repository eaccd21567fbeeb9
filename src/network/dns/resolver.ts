import type { LookupAddress } from 'node:dns'
import { errnoOf, untilAborted, withDeadline } from '../../base/index.ts'
import { LaneFullError, type Lanes } from '../lanes.ts'
import { TokenBucket } from './token-bucket.ts'

/** `lookup` of `node:dns/promises`: getaddrinfo(3), so /etc/hosts and nsswitch.conf hold as for any program of the host. */
export type Lookup = (
  name: string,
  options: { readonly all: true; readonly verbatim: true },
) => Promise<LookupAddress[]>

/** What the host knows about a name. `limited`: it was not asked, because the sandbox asks too much. */
export type HostAnswer =
  | { readonly kind: 'addresses'; readonly addresses: readonly string[] }
  | { readonly kind: 'no-name' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'limited'; readonly reason: string }

export interface ResolverOptions {
  readonly lookup: Lookup
  /** The slots for lookups of all sandboxes of this process. */
  readonly lanes: Lanes
  /** Milliseconds of a clock that never goes back. @default performance.now */
  readonly nowMs?: () => number
}

/** Milliseconds until a question fails, its wait for a slot included: what resolvers allow for one try. */
const TIMEOUT_MS = 5_000

/** Names asked of the host in one go, and per second for good. Programs ask for a few; a tunnel needs thousands. */
const BURST = 100
const PER_SECOND = 50

/**
 * Milliseconds for which an answer of the host is good. getaddrinfo(3) tells no time to live; a client that connects
 * again and again asks each time, and this keeps it from the rate limit and from the threads.
 */
const KEPT_MS = 10_000
const KEPT_NAMES = 256

/** The host's resolver, as one sandbox may use it. */
export class Resolver {
  readonly #options: ResolverOptions
  readonly #nowMs: () => number
  readonly #rate: TokenBucket
  readonly #asked = new Map<string, Promise<HostAnswer>>()
  readonly #kept = new Map<string, { readonly answer: HostAnswer; readonly untilMs: number }>()

  constructor(options: ResolverOptions) {
    this.#options = options
    this.#nowMs = options.nowMs ?? ((): number => performance.now())
    this.#rate = new TokenBucket({ burst: BURST, perSecond: PER_SECOND, nowMs: this.#nowMs })
  }

  /**
   * All addresses of the name, at most 5 s from now. Who asks for a name that is being asked for gets the same answer.
   * @throws AbortedError on the signal; the lookup itself cannot be stopped and goes on
   */
  async resolve(name: string, signal: AbortSignal): Promise<HostAnswer> {
    const kept = this.#kept.get(name)
    if (kept !== undefined && kept.untilMs > this.#nowMs()) return kept.answer
    this.#kept.delete(name)
    let asked = this.#asked.get(name)
    if (asked === undefined) {
      if (!this.#rate.take()) {
        return { kind: 'limited', reason: `expected at most ${PER_SECOND} names a second, got more` }
      }
      asked = this.#ask(name).finally(() => this.#asked.delete(name))
      this.#asked.set(name, asked)
    }
    return await untilAborted(asked, signal)
  }

  // A lookup that does not come back holds its slot, so the deadline ends the wait only: the thread is as busy as before.
  async #ask(name: string): Promise<HostAnswer> {
    const { lookup, lanes } = this.#options
    const deadline = new AbortController()
    const work = lanes.run(this, async () => await lookup(name, { all: true, verbatim: true }), deadline.signal)
    try {
      const found = await withDeadline(work, {
        timeoutMs: TIMEOUT_MS,
        onTimeout: () => new Error(`no answer from the host's resolver within ${TIMEOUT_MS} ms`),
      })
      return this.#keep(name, { kind: 'addresses', addresses: found.map(({ address }) => address) })
    } catch (error) {
      if (error instanceof LaneFullError)
        return { kind: 'limited', reason: `names waiting for the resolver: ${error.message}` }
      if (errnoOf(error) === 'ENOTFOUND') return this.#keep(name, { kind: 'no-name' })
      return { kind: 'failed', reason: error instanceof Error ? error.message : String(error) }
    } finally {
      deadline.abort()
    }
  }

  #keep(name: string, answer: HostAnswer): HostAnswer {
    const oldest = this.#kept.keys().next()
    if (this.#kept.size >= KEPT_NAMES && oldest.done !== true) this.#kept.delete(oldest.value)
    this.#kept.set(name, { answer, untilMs: this.#nowMs() + KEPT_MS })
    return answer
  }
}
