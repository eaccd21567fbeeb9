import { innerAddresses } from './inner-addresses.ts'
import { contains, type IpAddress, liesWithin } from './ip-address.ts'
import type { NetworkRule, PortRange } from './network-policy.ts'
import { specialRange } from './special-ranges.ts'

/** Whether a rule is about a name: the name itself or a wildcard over it. `*` is not about names. */
export function coversName({ subject }: NetworkRule, name: string): boolean {
  if (subject.kind === 'name') return subject.name === name
  return subject.kind === 'subdomains' && name.endsWith(`.${subject.name}`)
}

/**
 * Whether an allow rule covers an address. A rule for IPv4 also covers IPv6 addresses that lead into it and nowhere else.
 */
export function coversAddress({ subject }: NetworkRule, address: IpAddress): boolean {
  if (subject.kind !== 'addresses') return false
  if (contains(subject.block, address)) return true
  const inner = innerAddresses(address)
  return inner.length > 0 && inner.every((each) => contains(subject.block, each))
}

/**
 * Whether an allow rule opens an address. One that is not public is opened by a block within its own range alone: who
 * writes `0.0.0.0/0` means the world, not the loopback, the neighbours and the metadata service of the host.
 */
export function opensAddress(rule: NetworkRule, address: IpAddress): boolean {
  const { subject } = rule
  if (subject.kind !== 'addresses' || !coversAddress(rule, address)) return false
  const special = specialRange(address)
  return special === undefined || liesWithin(subject.block, special.block)
}

/** Whether a deny rule strikes an address: its own bits, or any IPv4 address inside it. */
export function strikesAddress({ subject }: NetworkRule, address: IpAddress): boolean {
  return (
    subject.kind === 'addresses' && [address, ...innerAddresses(address)].some((each) => contains(subject.block, each))
  )
}

export function coversPort({ ports }: NetworkRule, port: number): boolean {
  return ports === undefined || (ports.first <= port && port <= ports.last)
}

const ALL_PORTS: PortRange = { first: 1, last: 65_535 }

/** Whether a rule has a port that none of the others takes away. */
export function hasPortLeft({ ports }: NetworkRule, others: readonly NetworkRule[]): boolean {
  const { first, last } = ports ?? ALL_PORTS
  let next = first
  for (const taken of others.map((rule) => rule.ports ?? ALL_PORTS).sort((a, b) => a.first - b.first)) {
    if (taken.first > next) break
    next = Math.max(next, taken.last + 1)
  }
  return next <= last
}
