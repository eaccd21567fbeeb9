import type { BoundAddress } from '../dns/name-bindings.ts'
import type { Ground } from './judge-target.ts'
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
  /** A real IPv4 or IPv6 address, or `proxy`: connect to `names[0]` by the host's proxy. */
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

/** Judges a connect() of the guest. Never throws. */
export function judgeAddress(_policy: NetworkPolicy, _question: AddressQuestion): AddressDecision {
  throw new Error('follows')
}
