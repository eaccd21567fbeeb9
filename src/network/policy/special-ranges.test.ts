import { expect, test } from 'vitest'
import { parseAddress } from './ip-address.ts'
import { specialRange } from './special-ranges.ts'

function rangeOf(text: string): string | undefined {
  const address = parseAddress(text)
  if (address === undefined) throw new Error(`no address: ${text}`)
  return specialRange(address)?.range
}

/** First and last address of a range, and the neighbours outside. */
const IPV4: readonly (readonly [
  range: string,
  first: string,
  last: string,
  before: string | undefined,
  behind: string | undefined,
])[] = [
  ['unspecified', '0.0.0.0', '0.0.0.0', undefined, 'this network'],
  ['this network', '0.0.0.1', '0.255.255.255', 'unspecified', undefined],
  ['private', '10.0.0.0', '10.255.255.255', undefined, undefined],
  ['carrier-grade NAT', '100.64.0.0', '100.127.255.255', undefined, undefined],
  ['metadata', '100.100.100.200', '100.100.100.200', 'carrier-grade NAT', 'carrier-grade NAT'],
  ['loopback', '127.0.0.0', '127.255.255.255', undefined, undefined],
  ['metadata', '168.63.129.16', '168.63.129.16', undefined, undefined],
  ['link-local', '169.254.0.0', '169.254.255.255', undefined, undefined],
  ['metadata', '169.254.169.254', '169.254.169.254', 'link-local', 'link-local'],
  ['metadata', '169.254.170.2', '169.254.170.2', 'link-local', 'link-local'],
  ['metadata', '169.254.170.23', '169.254.170.23', 'link-local', 'link-local'],
  ['private', '172.16.0.0', '172.31.255.255', undefined, undefined],
  ['protocol assignments', '192.0.0.0', '192.0.0.255', undefined, undefined],
  ['metadata', '192.0.0.192', '192.0.0.192', 'protocol assignments', 'protocol assignments'],
  ['protocol assignments', '192.88.99.0', '192.88.99.255', undefined, undefined],
  ['private', '192.168.0.0', '192.168.255.255', undefined, undefined],
  ['benchmarking', '198.18.0.0', '198.19.255.255', undefined, undefined],
  ['multicast', '224.0.0.0', '239.255.255.255', undefined, 'reserved'],
  ['reserved', '240.0.0.0', '255.255.255.254', 'multicast', 'broadcast'],
  ['broadcast', '255.255.255.255', '255.255.255.255', 'reserved', undefined],
]

const number = (text: string): number => text.split('.').reduce((value, part) => value * 256 + Number(part), 0)
const quad = (value: number): string => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.')
/** Two groups of IPv6. */
const groups = (text: string): string => `${(number(text) >>> 16).toString(16)}:${(number(text) & 0xffff).toString(16)}`
const inverted = (text: string): string => quad(~number(text) >>> 0)

test.for(IPV4)('%s: %s – %s', ([range, first, last, before, behind]) => {
  expect(rangeOf(first)).toBe(range)
  expect(rangeOf(last)).toBe(range)
  if (number(first) > 0) expect(rangeOf(quad(number(first) - 1))).toBe(before)
  if (number(last) < 0xffff_ffff) expect(rangeOf(quad(number(last) + 1))).toBe(behind)
})

test.for(IPV4)('%s: %s is so inside IPv6 addresses too', ([range, first, last]) => {
  for (const inner of [first, last]) {
    expect(rangeOf(`::ffff:${inner}`)).toBe(range)
    expect(rangeOf(`::ffff:0:${groups(inner)}`)).toBe(range)
    expect(rangeOf(`64:ff9b::${inner}`)).toBe(range)
    expect(rangeOf(`2002:${groups(inner)}::1`)).toBe(range)
    // Teredo: the server in clear, the client inverted.
    expect(rangeOf(`2001:0:808:808:0:0:${groups(inverted(inner))}`)).toBe(range)
    expect(rangeOf(`2001:0:${groups(inner)}:0:0:${groups(inverted('8.8.8.8'))}`)).toBe(range)
    // IPv4-compatible 0.0.0.0 is the unspecified address itself.
    expect(rangeOf(`::${groups(inner)}`)).toBe(inner === '0.0.0.1' ? 'loopback' : range)
  }
})

test.for([
  '1.1.1.1',
  '8.8.8.8',
  '93.184.216.34',
  '192.0.1.0',
  '192.31.196.1',
  '192.52.193.1',
  '192.175.48.1',
  '223.255.255.255',
])('%s is public, and inside IPv6 addresses too', (inner) => {
  const texts = [
    inner,
    `::ffff:${inner}`,
    `::ffff:0:${groups(inner)}`,
    `64:ff9b::${inner}`,
    `2002:${groups(inner)}::1`,
    `2001:0:808:808::${groups(inverted(inner))}`,
    `::${groups(inner)}`,
  ]
  expect(texts.filter((text) => rangeOf(text) !== undefined)).toEqual([])
})

test.for([
  ['::', 'unspecified'],
  ['::1', 'loopback'],
  ['64:ff9b:1::', 'local translation'],
  ['64:ff9b:1:ffff:ffff:ffff:ffff:ffff', 'local translation'],
  ['64:ff9b:2::', 'reserved'],
  ['64:ff9b::1:0:0', 'reserved'],
  ['::1:0:0', 'reserved'],
  ['100::', 'reserved'],
  ['100:0:0:1::', 'reserved'],
  ['1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'reserved'],
  ['2000::', undefined],
  ['2001:1::', 'protocol assignments'],
  ['2001:2::', 'benchmarking'],
  ['2001:2:0:ffff::', 'benchmarking'],
  ['2001:2:1::', 'protocol assignments'],
  ['2001:10::', 'protocol assignments'],
  ['2001:20::', 'protocol assignments'],
  ['2001:1ff:ffff::', 'protocol assignments'],
  ['2001:200::', undefined],
  ['2001:db7:ffff::', undefined],
  ['2001:db9::', undefined],
  ['2003::', undefined],
  ['2606:4700::1111', undefined],
  ['3ffe:ffff::', undefined],
  ['3fff:1000::', undefined],
  ['4000::', 'reserved'],
  ['5f00::', 'reserved'],
  ['fbff::', 'reserved'],
  ['fc00::', 'private'],
  ['fd00:ec2::253', 'private'],
  ['fd00:ec2::254', 'metadata'],
  ['fd00:ec2::23', 'metadata'],
  ['fd20:ce::254', 'metadata'],
  ['fdff:ffff::', 'private'],
  ['fe00::', 'reserved'],
  ['fe80::', 'link-local'],
  ['febf:ffff::', 'link-local'],
  ['fec0::', 'site-local'],
  ['feff:ffff::', 'site-local'],
  ['ff00::', 'multicast'],
  ['ff02::1', 'multicast'],
  ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'multicast'],
] as const)('%s: %s', ([text, range]) => {
  expect(rangeOf(text)).toBe(range)
})
