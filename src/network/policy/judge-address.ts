import { isIPv4 } from 'node:net'
import type { BoundAddress } from '../dns/name-bindings.ts'
import { isStandIn } from '../dns/stand-ins.ts'
import { BUILT_IN_RULES } from './built-in-rules.ts'
import { type Ground, judgeTarget } from './judge-target.ts'
import type { Decision, NetworkPolicy } from './network-policy.ts'

export interface AddressQuestion {
  /** What the guest connects to: a strict dotted quad. */
  readonly address: string
  /** 1–65535. */
  readonly port: number
  /** What `NameBindings.lookup(address)` says. */
  readonly bound: BoundAddress | undefined
}

/** One place to connect to. Keep it with the connection: `judgeTls` and later `judgeTarget` ask for it again. */
export interface AllowedTarget {
  /** A real IPv4 or IPv6 address, or `BY_PROXY`: connect to `names[0]` by the host's proxy. */
  readonly realAddress: string
  readonly port: number
  readonly names: readonly string[]
  readonly ground: Ground
  readonly rule: string
}

export interface AddressDecision extends Decision {
  /** Where the connection may really go, in the order to try. Never empty if allowed, always if not. */
  readonly targets: readonly AllowedTarget[]
}

/**
 * Judges a connect() of the guest. A bound address is judged by where it really leads, never by its own digits: a rule
 * that covers 198.18.0.0/15 does not open what hides behind a stand-in. Never throws.
 */
export function judgeAddress(policy: NetworkPolicy, { address, port, bound }: AddressQuestion): AddressDecision {
  if (!isIPv4(address)) {
    return { allowed: false, rule: BUILT_IN_RULES.malformed, reason: 'the address is no dotted quad', targets: [] }
  }
  const { names, realAddresses } = bound ?? { names: [], realAddresses: [address] }
  const targets: AllowedTarget[] = []
  let allowed: Decision | undefined
  let refused: Decision | undefined
  for (const realAddress of realAddresses) {
    const decision = judgeTarget(policy, { realAddress, port, names })
    if (decision.allowed) {
      allowed ??= decision
      targets.push({ realAddress, port, names, ground: decision.ground, rule: decision.rule })
    } else {
      refused ??= decision
    }
  }
  if (allowed !== undefined) return { allowed: true, rule: allowed.rule, reason: allowed.reason, targets }
  const { rule, reason } = (bound === undefined && unboundStandIn(policy, address)) || refused || nowhere(address)
  return { allowed: false, rule, reason, targets }
}

function unboundStandIn(policy: NetworkPolicy, address: string): Pick<Decision, 'rule' | 'reason'> | undefined {
  if (!policy.enabled || !isStandIn(address)) return undefined
  return {
    rule: BUILT_IN_RULES.unboundStandIn,
    reason: `${address} is kept for names without an address of their own, and stands for none now: resolve the name again`,
  }
}

function nowhere(address: string): Pick<Decision, 'rule' | 'reason'> {
  return { rule: BUILT_IN_RULES.malformed, reason: `${address} is bound to no real address` }
}
