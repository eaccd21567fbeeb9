import { canonicalHostName, HOST_LOOPBACK_NAME } from '../dns/host-name.ts'
import { denying, type FarEnd, permitting } from './applicable-rules.ts'
import { BUILT_IN_RULES } from './built-in-rules.ts'
import { parseAddress } from './ip-address.ts'
import type { Decision, NetworkPolicy } from './network-policy.ts'
import { isProxyOwnName } from './proxy-names.ts'
import { coversPort } from './rule-match.ts'
import { specialRange } from './special-ranges.ts'

/** Stands in place of a real address: the host's proxy resolves the name, so nobody here knows the address. */
export const BY_PROXY = 'proxy'

/** One place a connection would really go to. */
export interface TargetQuestion {
  /** The real address, IPv4 or IPv6; or `BY_PROXY`. Rules of addresses, deny rules too, cannot apply to the latter. */
  readonly realAddress: string
  /** 1–65535. */
  readonly port: number
  /** Names that unexpired bindings of this sandbox give for the address the guest uses; empty for a bare address. */
  readonly names: readonly string[]
}

/**
 * Which kind of rule lets a connection through; it decides what TLS must show (`judgeTls`).
 * `address`: an address or CIDR rule. `any`: `*` or `true`. `name`: a name or wildcard. If rules of several kinds do, it is
 * the first of these.
 */
export type Ground = 'address' | 'any' | 'name'

export type TargetDecision =
  | (Decision & { readonly allowed: false })
  | (Decision & { readonly allowed: true; readonly ground: Ground })

/**
 * Judges one real target: deny rules first (of addresses, and of names on every name bound to the address), then allow
 * rules. For open connections too when the policy changes. Never throws.
 */
export function judgeTarget(policy: NetworkPolicy, question: TargetQuestion): TargetDecision {
  const { port } = question
  if (!policy.enabled) return refused(BUILT_IN_RULES.off, 'the network is off')
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    return refused(BUILT_IN_RULES.malformed, 'the port is not one of 1–65535')
  }
  const farEnd = readFarEnd(question)
  if (farEnd === undefined) return refused(BUILT_IN_RULES.malformed, 'the address or a name of it is malformed')
  const where = describe(question)
  const denied = denying(policy, farEnd).find((rule) => coversPort(rule, port))
  if (denied !== undefined) return refused(denied.text, `${where} is denied by the rule ${denied.text}`)
  const permitted = permitting(policy, farEnd).find(({ rule }) => coversPort(rule, port))
  if (permitted === undefined) return notPermitted(farEnd, where)
  const { rule, ground } = permitted
  return { allowed: true, ground, rule: rule.text, reason: `${where} is allowed by the rule ${rule.text}` }
}

/** What a question is about, checked; `undefined` if it is no address or no name. */
export function readFarEnd({ realAddress, names }: Pick<TargetQuestion, 'realAddress' | 'names'>): FarEnd | undefined {
  const canonical = names.map(canonicalHostName)
  if (!canonical.every((name) => name !== undefined)) return undefined
  if (realAddress === BY_PROXY) return canonical.length > 0 ? { address: undefined, names: canonical } : undefined
  const address = parseAddress(realAddress)
  return address && { address, names: canonical }
}

/** The most telling reason for which nothing permits a far end. */
export function notPermitted({ address, names }: FarEnd, where: string): Decision & { readonly allowed: false } {
  if (names.includes(HOST_LOOPBACK_NAME)) {
    return refused(
      BUILT_IN_RULES.hostName,
      `${where} needs a rule that names ${HOST_LOOPBACK_NAME}, and its port, exactly`,
    )
  }
  const special = address && specialRange(address)
  if (special !== undefined) {
    const inside = special.address === address ? '' : ` (by ${special.address.text} inside it)`
    return refused(
      special.range,
      `${where} is not public but ${special.range}${inside}: only a rule with an address or a block within that range allows it`,
    )
  }
  if (address === undefined && names.some(isProxyOwnName)) {
    return refused(BUILT_IN_RULES.proxyOwnNames, `${where} would be looked up in the proxy’s own network`)
  }
  return refused(
    BUILT_IN_RULES.noRule,
    names.length > 0 ? `no rule allows ${where}` : `no rule allows ${where}, and no allowed name led to this address`,
  )
}

function refused(rule: string, reason: string): Decision & { readonly allowed: false } {
  return { allowed: false, rule, reason }
}

function describe({ realAddress, port, names }: TargetQuestion): string {
  const host = realAddress.includes(':') ? `[${realAddress}]` : realAddress
  const [name] = names
  if (name === undefined) return `${host}:${port}`
  const others = names.length > 1 ? ` and ${names.length - 1} more names` : ''
  return realAddress === BY_PROXY ? `${name}:${port} (by the proxy)` : `${name}:${port} (${host}${others})`
}
