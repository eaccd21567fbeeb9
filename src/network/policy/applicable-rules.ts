import { HOST_LOOPBACK_ADDRESS, HOST_LOOPBACK_NAME } from '../dns/host-name.ts'
import type { IpAddress } from './ip-address.ts'
import type { Ground } from './judge-target.ts'
import type { NetworkPolicy, NetworkRule } from './network-policy.ts'
import { isProxyOwnName, meansProxyItself } from './proxy-names.ts'
import { coversName, opensAddress, strikesAddress } from './rule-match.ts'
import { specialRange } from './special-ranges.ts'

/** What is known of the far end: its address (`undefined`: the proxy's affair) and the names that led to it. */
export interface FarEnd {
  readonly address: IpAddress | undefined
  readonly names: readonly string[]
}

export interface ApplicableRule {
  readonly rule: NetworkRule
  readonly ground: Ground
}

/** The deny rules that strike a far end on some port. */
export function denying(policy: NetworkPolicy, { address, names }: FarEnd): readonly NetworkRule[] {
  return policy.deny.filter(
    (rule) =>
      rule.subject.kind === 'any' ||
      names.some((name) => coversName(rule, name)) ||
      (address !== undefined && strikesAddress(rule, address)),
  )
}

/**
 * The allow rules that permit a far end on some port, the most lenient kind first: rules of addresses, `*`, names.
 * An address that is not public is permitted by rules of addresses alone, on their ports alone: a rule for
 * `10.0.0.0/8:443` does not open other ports of that block to names.
 */
export function permitting(policy: NetworkPolicy, farEnd: FarEnd): readonly ApplicableRule[] {
  const { address } = farEnd
  return [
    ...select(policy, 'address', (rule) => address !== undefined && opensAddress(rule, address)),
    ...select(policy, 'any', (rule) => rule.subject.kind === 'any' && starPermits(farEnd)),
    ...select(policy, 'name', (rule) =>
      farEnd.names.some((name) => coversName(rule, name) && namePermits(rule, name, address)),
    ),
  ]
}

function select(policy: NetworkPolicy, ground: Ground, filter: (rule: NetworkRule) => boolean): ApplicableRule[] {
  return policy.allow.filter(filter).map((rule) => ({ rule, ground }))
}

/** `*` is everything public: with a proxy, every name that is not of the proxy's own network. */
function starPermits({ address, names }: FarEnd): boolean {
  if (names.includes(HOST_LOOPBACK_NAME)) return false
  return address === undefined ? names.length > 0 && !names.some(isProxyOwnName) : specialRange(address) === undefined
}

/** The host's own name is permitted by its exact rule, for its one address; every other name for public addresses. */
function namePermits(rule: NetworkRule, name: string, address: IpAddress | undefined): boolean {
  if (name === HOST_LOOPBACK_NAME) return rule.subject.kind === 'name' && address?.text === HOST_LOOPBACK_ADDRESS
  return address === undefined ? !meansProxyItself(name) : specialRange(address) === undefined
}
