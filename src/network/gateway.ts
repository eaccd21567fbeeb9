import type { Logger } from '../base/index.ts'
import { DecisionLog } from './decision-log.ts'
import { canonicalHostName, HOST_LOOPBACK_ADDRESS, HOST_LOOPBACK_NAME } from './dns/host-name.ts'
import { NameBindings } from './dns/name-bindings.ts'
import { nameBoundBroken } from './dns/question-bounds.ts'
import { Resolver } from './dns/resolver.ts'
import { Flow } from './flow.ts'
import type { GuestConnection } from './guest-connection.ts'
import type { HostNetwork } from './host-network.ts'
import { Lanes } from './lanes.ts'
import type { NetworkMetrics } from './metrics.ts'
import { BUILT_IN_RULES } from './policy/built-in-rules.ts'
import { permitting } from './policy/applicable-rules.ts'
import { filterAnswers } from './policy/filter-answers.ts'
import { BY_PROXY, notPermitted } from './policy/judge-target.ts'
import { mayResolve } from './policy/may-resolve.ts'
import type { Decision, NetworkPolicy } from './policy/network-policy.ts'

export interface GatewayOptions {
  readonly policy: NetworkPolicy
  readonly host: HostNetwork
  readonly logger: Logger
  /**
   * Milliseconds without a byte after which a connection of which one side has ended is over. An open one may be silent for
   * ever, as it may without us; the kernel's keep-alive finds peers that are gone. @default 300 000
   */
  readonly halfOpenIdleMs?: number
}

/** What a question for a name is answered with. */
export interface NameAnswer {
  readonly status: 'ok' | 'no-data' | 'no-name' | 'refused' | 'failed'
  /** IPv4 addresses that the guest can connect to, at most 12; some stand for what it cannot be given as it is. */
  readonly addresses: string[]
  readonly ttlS: number
}

/** Connections of one sandbox, waiting and open; the agent keeps to the same number. */
const MAX_CONNECTIONS = 512

/** Connections of one sandbox that are being opened at once. Others wait: a port scan is slow, a burst is not refused. */
const MAX_OPENING = 64

const HALF_OPEN_IDLE_MS = 300_000

/** Seconds for which the guest may keep an answer. Its addresses are bound for longer than that. */
const TTL_S = 60

/** Milliseconds for which a host with a proxy is not asked for names after it could not answer: each time costs 5 s. */
const BLIND_MS = 60_000

/** Names of rules that are limits and not policy. */
const LIMITS = {
  connections: 'limit of connections',
  names: 'limit of names',
  questions: 'limit of questions',
} as const

/**
 * The way out of one sandbox: answers its questions for names, and opens its connections, as its policy says. It knows
 * nothing of the VM: whoever carries the guest's questions here owns it, and closes it.
 */
export class Gateway {
  readonly #host: HostNetwork
  readonly #halfOpenIdleMs: number
  readonly #log: DecisionLog
  readonly #bindings = new NameBindings({ now: () => performance.now() })
  readonly #resolver: Resolver
  readonly #opening = new Lanes({ slots: MAX_OPENING, slotsPerLane: MAX_OPENING, maxWaitingPerLane: MAX_CONNECTIONS })
  readonly #flows = new Set<Flow>()
  #policy: NetworkPolicy
  #closed = false
  #blindUntilMs = 0

  constructor({ policy, host, logger, halfOpenIdleMs = HALF_OPEN_IDLE_MS }: GatewayOptions) {
    this.#halfOpenIdleMs = halfOpenIdleMs
    this.#policy = policy
    this.#host = host
    this.#log = new DecisionLog(logger)
    this.#resolver = new Resolver({ lookup: host.lookup, lanes: host.lookups })
  }

  /**
   * Answers a question for a name, within 5 s. Addresses that it gives are bound to the name: connections to them are
   * judged by it. `no-data` to every AAAA question of a name that may be asked for, because the guest has no IPv6.
   * @param name as the program wrote it; anything at all
   * @throws AbortedError on the signal
   */
  async resolve(name: string, type: 'A' | 'AAAA', signal: AbortSignal): Promise<NameAnswer> {
    this.#log.asked()
    if (this.#closed) return answer('failed')
    const canonical = canonicalHostName(name)
    if (canonical === undefined) return this.#refuse(name, BUILT_IN_RULES.malformed, 'expected a host name')
    const decision = mayResolve(this.#policy, canonical)
    if (!decision.allowed) return this.#refuse(canonical, decision.rule, decision.reason)
    const broken = this.#isNamed(canonical) ? undefined : nameBoundBroken(canonical)
    if (broken !== undefined) return this.#refuse(canonical, LIMITS.names, broken)
    if (type === 'AAAA') return answer('no-data')
    const real = canonical === HOST_LOOPBACK_NAME ? [HOST_LOOPBACK_ADDRESS] : await this.#ask(canonical, signal)
    return 'status' in real ? real : this.#bind(canonical, real)
  }

  /** Judges, opens and carries a connection. Settles when it is over; never rejects. */
  async connect(connection: GuestConnection): Promise<void> {
    if (this.#closed) return connection.finish({ code: 'refused', message: 'the network is closed' })
    const { address, port } = connection
    if (this.#isFull()) {
      const reason = `expected at most ${MAX_CONNECTIONS} connections, got one more`
      this.#log.refused({ kind: 'connect', address, port, rule: LIMITS.connections, reason })
      return connection.finish({ code: 'busy', message: reason })
    }
    const flow = new Flow(connection, {
      policy: () => this.#policy,
      bindings: this.#bindings,
      host: this.#host,
      log: this.#log,
      opening: this.#opening,
      halfOpenIdleMs: this.#halfOpenIdleMs,
    })
    this.#flows.add(flow)
    try {
      await flow.run()
    } finally {
      this.#flows.delete(flow)
    }
  }

  /** From now on this policy holds, for open connections as well: those that it does not allow are reset at once. */
  setPolicy(policy: NetworkPolicy): void {
    this.#policy = policy
    for (const flow of this.#flows) flow.judgeAgain()
  }

  metrics(): NetworkMetrics {
    return this.#log.metrics()
  }

  /** Resets every connection; new ones are refused. Any number of times. */
  close(): void {
    this.#closed = true
    for (const flow of this.#flows) flow.end({ code: 'reset', message: 'the network is closed' })
  }

  /** What the guest has given up counts no more, although its end is still on its way through here. */
  #isFull(): boolean {
    if (this.#flows.size < MAX_CONNECTIONS) return false
    return [...this.#flows].filter(({ hasEnded }) => !hasEnded).length >= MAX_CONNECTIONS
  }

  /** Whether a rule of the user has the very name: then it is no way to carry something out in names. */
  #isNamed(name: string): boolean {
    return this.#policy.allow.some(({ subject }) => subject.kind === 'name' && subject.name === name)
  }

  async #ask(name: string, signal: AbortSignal): Promise<readonly string[] | NameAnswer> {
    // Where only the proxy reaches the outside, only the proxy knows its names.
    const usesProxy = this.#usesProxy(name)
    if (usesProxy && performance.now() < this.#blindUntilMs) return [BY_PROXY]
    const found = await this.#resolver.resolve(name, signal)
    if (found.kind === 'addresses' && found.addresses.length > 0) return found.addresses
    if (found.kind === 'limited') return this.#refuse(name, LIMITS.questions, found.reason, 'failed')
    if (found.kind === 'failed' && usesProxy) this.#blindUntilMs = performance.now() + BLIND_MS
    if (usesProxy) return [BY_PROXY]
    if (found.kind !== 'failed') return answer(found.kind === 'addresses' ? 'no-data' : 'no-name')
    this.#log.questionFailed(name, found.reason)
    return answer('failed')
  }

  #usesProxy(name: string): boolean {
    return [443, 80].some((port) => this.#host.chooseProxy(name, port).kind === 'proxy')
  }

  // Judged by the policy of now: it may have changed while the host was asked.
  #bind(name: string, real: readonly string[]): NameAnswer {
    const decision = mayResolve(this.#policy, name)
    if (!decision.allowed) return this.#refuse(name, decision.rule, decision.reason)
    const { addresses, refused } = real.includes(BY_PROXY)
      ? filterByProxy(this.#policy, name)
      : filterAnswers(this.#policy, name, real)
    const [first] = refused
    if (addresses.length === 0 && first !== undefined) return this.#refuse(name, first.rule, first.reason)
    return { status: 'ok', addresses: [...this.#bindings.bind(name, addresses, TTL_S)], ttlS: TTL_S }
  }

  #refuse(name: string, rule: string, reason: string, status: 'refused' | 'failed' = 'refused'): NameAnswer {
    this.#log.refused({ kind: 'dns', name, rule, reason })
    return answer(status)
  }
}

/** Where the proxy resolves the name there is no address to judge, but names that nobody outside should mean. */
function filterByProxy(
  policy: NetworkPolicy,
  name: string,
): { readonly addresses: readonly string[]; readonly refused: readonly Decision[] } {
  const farEnd = { address: undefined, names: [name] }
  return permitting(policy, farEnd).length > 0
    ? { addresses: [BY_PROXY], refused: [] }
    : { addresses: [], refused: [notPermitted(farEnd, name)] }
}

function answer(status: NameAnswer['status']): NameAnswer {
  return { status, addresses: [], ttlS: 0 }
}
