import { addressOf, blockOf, contains, type IpAddress } from './ip-address.ts'

const MASK_32 = 0xffff_ffffn

/**
 * Kinds of IPv6 address that lead to an IPv4 address by way of a translator or a tunnel, and where that stands in them.
 * IPv4-mapped is not here: `parseAddress` makes it IPv4. NAT64 with an operator's own prefix (RFC 6052 §2.2) cannot be
 * recognized.
 */
const EMBEDDINGS: readonly { readonly block: ReturnType<typeof blockOf>; inner(value: bigint): readonly bigint[] }[] = [
  // NAT64, RFC 6052 §2.1.
  { block: blockOf('64:ff9b::/96'), inner: (value) => [value & MASK_32] },
  // 6to4, RFC 3056 §2.
  { block: blockOf('2002::/16'), inner: (value) => [(value >> 80n) & MASK_32] },
  // Teredo, RFC 4380 §4: the server, and the client with its bits inverted.
  { block: blockOf('2001::/32'), inner: (value) => [~value & MASK_32, (value >> 64n) & MASK_32] },
  // IPv4-translated, RFC 7915 (SIIT): ::ffff:0:a.b.c.d.
  { block: blockOf('::ffff:0:0:0/96'), inner: (value) => [value & MASK_32] },
  // IPv4-compatible, RFC 4291 §2.5.5.1; :: and ::1 are themselves.
  { block: blockOf('::/96'), inner: (value) => (value <= 1n ? [] : [value & MASK_32]) },
]

/** The IPv4 addresses inside an IPv6 address that leads to them; empty for all others. */
export function innerAddresses(address: IpAddress): readonly IpAddress[] {
  if (address.family === 4) return []
  const embedding = EMBEDDINGS.find(({ block }) => contains(block, address))
  return (embedding?.inner(address.value) ?? []).map((value) => addressOf(4, value))
}
