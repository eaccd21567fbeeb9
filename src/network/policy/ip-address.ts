import { isIPv4, isIPv6 } from 'node:net'
import type { AddressBlock } from './network-policy.ts'

/** An address as the number it is. IPv4-mapped IPv6 does not occur: it is IPv4. */
export interface IpAddress {
  readonly family: 4 | 6
  readonly value: bigint
  /** Canonical: dotted quad, or RFC 5952. */
  readonly text: string
}

const MASK_32 = 0xffff_ffffn
/** ::ffff:0:0/96, RFC 4291 §2.5.5.2. */
const MAPPED_PREFIX = 0xffffn

/**
 * Reads an address: a strict dotted quad (four decimal numbers without leading zeros) or IPv6 without a zone.
 * An IPv4-mapped address (`::ffff:127.0.0.1`) is read as the IPv4 address in it, because to connect to it is to connect to
 * that by IPv4.
 * @returns undefined for everything else, e.g. `127.1`, `0x7f.0.0.1`, `fe80::1%eth0`
 */
export function parseAddress(text: string): IpAddress | undefined {
  const value = addressValue(text)
  if (value === undefined) return undefined
  if (value.family === 6 && value.bits >> 32n === MAPPED_PREFIX) return addressOf(4, value.bits & MASK_32)
  return addressOf(value.family, value.bits)
}

/** Like `parseAddress`, but an IPv4-mapped address stays what was written. */
export function addressValue(text: string): { readonly family: 4 | 6; readonly bits: bigint } | undefined {
  // node:net decides what is an address: the reader of URLs also takes octal, hexadecimal and fewer than four parts.
  if (isIPv4(text)) return { family: 4, bits: text.split('.').reduce((value, part) => value * 256n + BigInt(part), 0n) }
  if (isIPv6(text) && !text.includes('%')) return { family: 6, bits: bitsOfGroups(canonicalIPv6(text)) }
  return undefined
}

/** RFC 5952, without dotted quads (WHATWG URL §3.5, which Node implements). */
function canonicalIPv6(text: string): string {
  return new URL(`http://[${text}]/`).hostname.slice(1, -1)
}

function bitsOfGroups(canonical: string): bigint {
  const [head = '', tail] = canonical.split('::')
  const groupsOf = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const [first, last] = [groupsOf(head), groupsOf(tail ?? '')]
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => '0')
  return [...first, ...zeros, ...last].reduce((value, group) => value * 65_536n + BigInt(`0x${group}`), 0n)
}

export function addressOf(family: 4 | 6, value: bigint): IpAddress {
  const bytes = Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, '0'), 'hex')
  const text = family === 4 ? bytes.join('.') : canonicalIPv6((bytes.toString('hex').match(/.{4}/g) ?? []).join(':'))
  return { family, value, text }
}

/** A block from text that is known to be right: for tables. */
export function blockOf(cidr: string): AddressBlock {
  const [text = '', bits = ''] = cidr.split('/')
  const base = addressValue(text)
  if (base === undefined) throw new Error(`no address block: ${cidr}`)
  return Object.freeze({ family: base.family, base: base.bits, prefixBits: Number(bits) })
}

/** The block with the bits behind its prefix cleared. */
export function networkOf(block: AddressBlock): AddressBlock {
  const shift = hostBits(block)
  return { ...block, base: (block.base >> shift) << shift }
}

/** Whether an address lies in a block, by its own bits. */
export function contains(block: AddressBlock, address: Pick<IpAddress, 'family' | 'value'>): boolean {
  if (block.family !== address.family) return false
  const shift = hostBits(block)
  return block.base >> shift === address.value >> shift
}

/** Whether every address of the first block lies in the second. */
export function liesWithin(inner: AddressBlock, outer: AddressBlock): boolean {
  return inner.prefixBits >= outer.prefixBits && contains(outer, { family: inner.family, value: inner.base })
}

function hostBits({ family, prefixBits }: AddressBlock): bigint {
  return BigInt((family === 4 ? 32 : 128) - prefixBits)
}
