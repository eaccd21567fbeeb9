import { BlockList } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { blockOf, contains, networkOf, parseAddress } from './ip-address.ts'

test.for([
  '127.1',
  '0x7f.0.0.1',
  '017700000001',
  '2130706433',
  '127.0.0.01',
  '127.0.0.1.',
  ' 127.0.0.1',
  '127.0.0.1\n',
  '１.1.1.1',
])('%j is no address', (text) => {
  expect(parseAddress(text)).toBeUndefined()
})

test.for(['::1%lo', 'fe80::1%eth0', '[::1]', '1::2::3', '::1/128', '12345::', '::ffff:127.1', '::ffff:0177.0.0.1', ''])(
  '%j is no IPv6 address',
  (text) => {
    expect(parseAddress(text)).toBeUndefined()
  },
)

test.for([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:127.0.0.1', '127.0.0.1'],
  ['::ffff:7f00:1', '127.0.0.1'],
  ['::FFFF:7F00:0001', '127.0.0.1'],
  ['0:0:0:0:0:ffff:7f00:1', '127.0.0.1'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['2001:DB8:0:0::1', '2001:db8::1'],
  ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'],
  ['::127.0.0.1', '::7f00:1'],
] as const)('%s is %s', ([text, canonical]) => {
  expect(parseAddress(text)?.text).toBe(canonical)
})

/** The notations of RFC 4291 §2.2: any run of zeros may be "::", the end may be a dotted quad, zeros may lead. */
const notations = fc
  .record({
    groups: fc.array(fc.oneof(fc.constant(0), fc.constantFrom(1, 0xffff), fc.nat({ max: 0xffff })), {
      minLength: 8,
      maxLength: 8,
    }),
    padded: fc.boolean(),
    upper: fc.boolean(),
    dotted: fc.boolean(),
    from: fc.nat({ max: 7 }),
    to: fc.nat({ max: 8 }),
  })
  .map(({ groups, padded, upper, dotted, from, to }) => {
    const parts = groups.map((group) => group.toString(16).padStart(padded ? 4 : 1, '0'))
    const [seventh = 0, eighth = 0] = groups.slice(6)
    if (dotted) parts.splice(6, 2, [seventh >> 8, seventh & 255, eighth >> 8, eighth & 255].join('.'))
    const end = Math.min(to, dotted ? 6 : 8)
    const compressible = from < end && groups.slice(from, end).every((group) => group === 0)
    const text = compressible ? `${parts.slice(0, from).join(':')}::${parts.slice(end).join(':')}` : parts.join(':')
    return { text: upper ? text.toUpperCase() : text, groups, compressible, dotted }
  })

test('every IPv6 address is read as the groups it is made of, in any notation', () => {
  const seen = { compressed: 0, dotted: 0, mapped: 0 }
  fc.assert(
    fc.property(notations, ({ text, groups, compressible, dotted }) => {
      const value = groups.reduce((sum, group) => (sum << 16n) + BigInt(group), 0n)
      const mapped = value >> 32n === 0xffffn
      const address = parseAddress(text)
      expect(address?.family).toBe(mapped ? 4 : 6)
      expect(address?.value).toBe(mapped ? value & 0xffff_ffffn : value)
      // Its own canonical text is the same address again.
      expect(parseAddress(address?.text ?? '')).toEqual(address)
      if (compressible) seen.compressed += 1
      if (dotted) seen.dotted += 1
      if (mapped) seen.mapped += 1
    }),
    {
      numRuns: 5_000,
      examples: [
        [{ text: '::ffff:1.2.3.4', groups: [0, 0, 0, 0, 0, 0xffff, 0x102, 0x304], compressible: true, dotted: true }],
      ],
    },
  )
  expect(Math.min(seen.compressed, seen.dotted)).toBeGreaterThan(100)
  expect(seen.mapped).toBeGreaterThan(0)
})

test('blocks contain what node:net’s BlockList says they do', () => {
  const address = fc.oneof(
    fc.tuple(fc.constant(4 as const), fc.ipV4(), fc.ipV4(), fc.nat({ max: 32 })),
    fc.tuple(fc.constant(6 as const), fc.ipV6(), fc.ipV6(), fc.nat({ max: 128 })),
  )
  let inside = 0
  fc.assert(
    fc.property(address, fc.boolean(), ([family, base, other, prefixBits], same) => {
      const [first, second] = [parseAddress(base), parseAddress(other)]
      fc.pre(first?.family === family && second?.family === family)
      const asked = same ? first : second
      const block = networkOf({ family, base: first.value, prefixBits })
      const list = new BlockList()
      list.addSubnet(base, prefixBits, family === 4 ? 'ipv4' : 'ipv6')
      const expected = list.check(asked.text, family === 4 ? 'ipv4' : 'ipv6')
      expect(contains(block, asked)).toBe(expected)
      if (expected && !same) inside += 1
    }),
    { numRuns: 5_000 },
  )
  expect(inside).toBeGreaterThan(0)
})

test('a block of one family contains nothing of the other', () => {
  expect(contains(blockOf('0.0.0.0/0'), { family: 6, value: 1n })).toBe(false)
  expect(contains(blockOf('::/0'), { family: 4, value: 1n })).toBe(false)
})
