import type { Decision, NetworkPolicy } from './network-policy.ts'

/** One place a connection would really go to. */
export interface TargetQuestion {
  /** The real address, IPv4 or IPv6; or `proxy`: the host's proxy resolves the name, so nobody here knows the address. */
  readonly realAddress: string
  /** 1–65535. */
  readonly port: number
  /** Names that unexpired bindings of this sandbox give for the address the guest uses; empty for a bare address. */
  readonly names: readonly string[]
}

/**
 * Which kind of rule lets a connection through; it decides what TLS must show (`judgeTls`).
 * `address`: an address or CIDR rule. `any`: `*` or `true`. `name`: a name or wildcard.
 */
export type Ground = 'address' | 'any' | 'name'

export type TargetDecision =
  | (Decision & { readonly allowed: false })
  | (Decision & { readonly allowed: true; readonly ground: Ground })

/** Judges one real target. Also for open connections when the policy changes. Never throws. */
export function judgeTarget(_policy: NetworkPolicy, _question: TargetQuestion): TargetDecision {
  throw new Error('follows')
}
