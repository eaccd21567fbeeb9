import { innerAddresses } from './inner-addresses.ts'
import { blockOf, contains, type IpAddress } from './ip-address.ts'
import type { AddressBlock } from './network-policy.ts'

/** Why an address is not public. Each is the `rule` of a decision. */
export type SpecialRange =
  | 'metadata'
  | 'unspecified'
  | 'this network'
  | 'loopback'
  | 'private'
  | 'link-local'
  | 'site-local'
  | 'carrier-grade NAT'
  | 'benchmarking'
  | 'protocol assignments'
  | 'local translation'
  | 'multicast'
  | 'broadcast'
  | 'reserved'

/**
 * What is not public: the IANA special-purpose registries of IPv4 and IPv6 (RFC 6890) except what they list as globally
 * reachable, and the services by which clouds tell a machine its secrets. The first match gives the name. The ranges kept for
 * documentation (RFC 5737) are not here: nobody's services are there by right, and gateways that intercept names answer
 * with them.
 */
const RANGES: readonly (readonly [range: SpecialRange, ...cidrs: string[]])[] = [
  // AWS, Azure, Google, OpenStack, DigitalOcean; AWS containers; Azure's wire server, which is a public address; Alibaba;
  // Oracle; AWS and Google by IPv6.
  ['metadata', '169.254.169.254/32', '169.254.170.2/32', '169.254.170.23/32', '168.63.129.16/32'],
  ['metadata', '100.100.100.200/32', '192.0.0.192/32', 'fd00:ec2::254/128', 'fd00:ec2::23/128', 'fd20:ce::254/128'],
  ['unspecified', '0.0.0.0/32', '::/128'],
  ['this network', '0.0.0.0/8'],
  ['loopback', '127.0.0.0/8', '::1/128'],
  ['private', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
  ['link-local', '169.254.0.0/16', 'fe80::/10'],
  ['site-local', 'fec0::/10'],
  ['carrier-grade NAT', '100.64.0.0/10'],
  ['benchmarking', '198.18.0.0/15', '2001:2::/48'],
  // RFC 6890 and RFC 2928; 192.88.99.0/24 is the retired anycast address of 6to4 relays (RFC 7526).
  ['protocol assignments', '192.0.0.0/24', '192.88.99.0/24', '2001::/23'],
  // RFC 8215: what stands inside depends on the operator.
  ['local translation', '64:ff9b:1::/48'],
  ['multicast', '224.0.0.0/4', 'ff00::/8'],
  ['broadcast', '255.255.255.255/32'],
  ['reserved', '240.0.0.0/4'],
]

const BLOCKS: readonly { readonly range: SpecialRange; readonly block: AddressBlock }[] = RANGES.flatMap(
  ([range, ...cidrs]) => cidrs.map((cidr) => ({ range, block: blockOf(cidr) })),
)

/** What lies outside of it is divided by three bits (RFC 4291 §2.4). */
const RESERVED_PREFIX_BITS = 3

/** All that IANA has given out as global unicast (RFC 4291 §2.4): whatever lies outside is reserved. */
const GLOBAL_UNICAST = blockOf('2000::/3')

export interface SpecialAddress {
  readonly range: SpecialRange
  /** The address that is special: the one asked about, or an IPv4 address inside it. */
  readonly address: IpAddress
  /** The block of the table that it lies in. */
  readonly block: AddressBlock
}

/**
 * Why an address is not public; `undefined` if it is. An IPv6 address that leads to IPv4 addresses is as special as they
 * are: all of them must be public.
 */
export function specialRange(address: IpAddress): SpecialAddress | undefined {
  const inner = innerAddresses(address)
  if (inner.length > 0) {
    for (const each of inner) {
      const special = specialRange(each)
      if (special !== undefined) return special
    }
    return undefined
  }
  const found = BLOCKS.find(({ block }) => contains(block, address))
  if (found !== undefined) return { range: found.range, address, block: found.block }
  if (address.family === 4 || contains(GLOBAL_UNICAST, address)) return undefined
  return { range: 'reserved', address, block: { family: 6, base: address.value, prefixBits: RESERVED_PREFIX_BITS } }
}
