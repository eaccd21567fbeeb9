import { expect, test } from 'vitest'
import { InvalidInputError } from '../../base/index.ts'
import { parseNetworkPolicy } from './parse-network-policy.ts'

function refusal(options: unknown): InvalidInputError {
  try {
    parseNetworkPolicy(options)
  } catch (error) {
    if (error instanceof InvalidInputError) return error
    throw error
  }
  throw new Error(`accepted: ${JSON.stringify(options)}`)
}

const subjectOf = (text: string): unknown => parseNetworkPolicy({ allow: [text] }).allow[0]?.subject
const portsOf = (text: string): unknown => parseNetworkPolicy({ allow: [text] }).allow[0]?.ports

test('false has no rules and no network; true, and deny alone, have the rule of everything public', () => {
  expect(parseNetworkPolicy(false)).toEqual({ enabled: false, allow: [], deny: [] })
  const everything = { text: 'network: true', subject: { kind: 'any' }, ports: undefined }
  expect(parseNetworkPolicy(true)).toEqual({ enabled: true, allow: [everything], deny: [] })
  expect(parseNetworkPolicy({ deny: [] })).toEqual({ enabled: true, allow: [everything], deny: [] })
  expect(parseNetworkPolicy({ deny: ['a.com'] }).allow).toEqual([everything])
  expect(parseNetworkPolicy({ allow: [] })).toEqual({ enabled: true, allow: [], deny: [] })
})

test.for([
  ['example.com', { kind: 'name', name: 'example.com' }],
  ['EXAMPLE.Com', { kind: 'name', name: 'example.com' }],
  ['localhost', { kind: 'name', name: 'localhost' }],
  ['my_host.example', { kind: 'name', name: 'my_host.example' }],
  ['bücher.example', { kind: 'name', name: 'xn--bcher-kva.example' }],
  ['ＡＢＣ.com', { kind: 'name', name: 'abc.com' }],
  ['a。b', { kind: 'name', name: 'a.b' }],
  ['*.example.com', { kind: 'subdomains', name: 'example.com' }],
  ['*.com', { kind: 'subdomains', name: 'com' }],
  ['*', { kind: 'any' }],
  ['10.0.0.0/8', { kind: 'addresses', block: { family: 4, base: 0x0a00_0000n, prefixBits: 8 } }],
  ['0.0.0.0/0', { kind: 'addresses', block: { family: 4, base: 0n, prefixBits: 0 } }],
  ['127.0.0.1', { kind: 'addresses', block: { family: 4, base: 0x7f00_0001n, prefixBits: 32 } }],
  ['::1', { kind: 'addresses', block: { family: 6, base: 1n, prefixBits: 128 } }],
  ['[::1]', { kind: 'addresses', block: { family: 6, base: 1n, prefixBits: 128 } }],
  ['2001:db8::/32', { kind: 'addresses', block: { family: 6, base: 0x20010db8n << 96n, prefixBits: 32 } }],
  ['[2001:DB8::/32]:443', { kind: 'addresses', block: { family: 6, base: 0x20010db8n << 96n, prefixBits: 32 } }],
  [
    '64:ff9b::1.2.3.4',
    { kind: 'addresses', block: { family: 6, base: (0x64_ff9bn << 96n) + 0x0102_0304n, prefixBits: 128 } },
  ],
  ['::/0', { kind: 'addresses', block: { family: 6, base: 0n, prefixBits: 0 } }],
] as const)('%s is read as what it means', ([text, subject]) => {
  expect(subjectOf(text)).toEqual(subject)
})

test.for([
  ['a.com', undefined],
  ['a.com:1', { first: 1, last: 1 }],
  ['*:65535', { first: 65_535, last: 65_535 }],
  ['*.a.com:8000-8099', { first: 8000, last: 8099 }],
  ['10.0.0.0/8:5432', { first: 5432, last: 5432 }],
  ['1.2.3.4:80-80', { first: 80, last: 80 }],
  ['[::1]:1-65535', { first: 1, last: 65_535 }],
  ['::1:443', undefined],
] as const)('%s has its ports', ([text, ports]) => {
  expect(portsOf(text)).toEqual(ports)
})

const NAME_253 = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`

test('a name has at most 253 characters and labels of at most 63', () => {
  expect(subjectOf(NAME_253)).toEqual({ kind: 'name', name: NAME_253 })
  expect(refusal({ allow: [`${NAME_253}d`] }).message).toMatch(/expected a host name/)
  expect(refusal({ allow: [`${'a'.repeat(64)}.com`] }).message).toMatch(/expected a host name/)
})

test.for([
  // Names.
  ['', /expected a name/],
  [' a.com', /expected a name/],
  ['a.com ', /expected a name/],
  ['a b.com', /expected a name/],
  ['a.com\n', /expected a name/],
  ['a\0.com', /expected a name/],
  ['a.com.', /without a dot at its end/],
  ['.a.com', /host name/],
  ['a..com', /host name/],
  ['-a.com', /host name/],
  ['a-.com', /host name/],
  ['xn--a', /host name/],
  ['\u00AD', /host name/],
  ['a.123', /host name/],
  ['1.2.3.4.5', /host name/],
  ['exa%6dple.com', /expected a name/],
  ['user@a.com', /expected a name/],
  ['http://a.com', /a port of 1–65535/],
  ['a.com/path', /expected a name/],
  ['*a.com', /expected a name/],
  ['a.*.com', /expected a name/],
  ['*.*.com', /expected a name/],
  ['*.', /expected a name/],
  ['**', /expected a name/],
  ['*.1.2.3.4', /four decimal numbers/],
  // Addresses that only some read as such.
  ['127.1', /four decimal numbers \("127\.0\.0\.1"\)/],
  ['0x7f.1', /four decimal numbers \("127\.0\.0\.1"\)/],
  ['017700000001', /four decimal numbers \("127\.0\.0\.1"\)/],
  ['2130706433', /four decimal numbers \("127\.0\.0\.1"\)/],
  ['127.0.0.01', /four decimal numbers \("127\.0\.0\.1"\)/],
  ['１２７.0.0.1', /four decimal numbers \("127\.0\.0\.1"\)/],
  ['256.0.0.1', /host name/],
  ['10.0.0.0/33', /a prefix of 0–32 bits/],
  ['10.0.0.0/08', /a prefix of 0–32 bits/],
  ['10.0.0.0/', /a prefix of 0–32 bits/],
  ['10.0.0.0/8/8', /a prefix of 0–32 bits/],
  ['10.0.0.0/255.0.0.0', /a prefix of 0–32 bits/],
  ['10.0.0/8', /expected a name/],
  ['10.0.0.1/8', /bits behind its prefix \("10\.0\.0\.0\/8"\)/],
  ['2001:db8::1/32', /bits behind its prefix \("2001:db8::\/32"\)/],
  ['2001:db8::/129', /a prefix of 0–128 bits/],
  ['::ffff:127.0.0.1', /IPv4 notation \("127\.0\.0\.1\/32"\)/],
  ['::ffff:7f00:1', /IPv4 notation \("127\.0\.0\.1\/32"\)/],
  ['[::ffff:10.0.0.0/104]:443', /IPv4 notation \("10\.0\.0\.0\/8"\)/],
  ['fe80::1%eth0', /expected a name/],
  ['1::2::3', /expected a name/],
  ['[1.2.3.4]', /expected a name/],
  ['[a.com]:80', /expected a name/],
  ['[::1', /"\[address\]"/],
  ['[]:80', /"\[address\]"/],
  ['[::1]x', /"\[address\]"/],
  ['[2001:db8::]/32', /"\[address\]"/],
  // Ports.
  ['a.com:', /a port of 1–65535/],
  ['a.com:0', /a port of 1–65535/],
  ['a.com:65536', /a port of 1–65535/],
  ['a.com:080', /a port of 1–65535/],
  ['a.com:+80', /a port of 1–65535/],
  ['a.com:80-', /a port of 1–65535/],
  ['a.com:-80', /a port of 1–65535/],
  ['a.com:90-80', /a port of 1–65535/],
  ['a.com:80,443', /a port of 1–65535/],
  ['a.com:http', /a port of 1–65535/],
  [':443', /expected a name/],
  ['[::1]:', /a port of 1–65535/],
] as const)('%j is refused', ([text, expected]) => {
  const error = refusal({ allow: ['ok.com', text] })
  expect(error.message).toMatch(expected)
  expect(error.message).toMatch(/^network\.allow\[1\]: expected .*, got "/s)
  expect(error.details).toEqual({ field: 'network.allow[1]' })
  expect(refusal({ deny: [text] }).details).toEqual({ field: 'network.deny[0]' })
})

test.for([
  [undefined, 'network', /got undefined/],
  [null, 'network', /got null/],
  ['*', 'network', /got string/],
  [['*'], 'network', /got an array/],
  [{}, 'network', /got neither/],
  [{ allow: undefined, deny: undefined }, 'network', /got neither/],
  [{ alow: [] }, 'network', /only the keys allow and deny, got "alow"/],
  [{ allow: 'a.com' }, 'network.allow', /an array of rules, got string/],
  [{ allow: null }, 'network.allow', /an array of rules, got null/],
  [{ allow: [], deny: {} }, 'network.deny', /an array of rules, got object/],
  [{ allow: [1] }, 'network.allow[0]', /a string, got number/],
  [{ allow: [null] }, 'network.allow[0]', /a string, got null/],
  // oxlint-disable-next-line no-sparse-arrays
  [{ allow: [,] }, 'network.allow[0]', /a string, got undefined/],
  [{ allow: Array.from({ length: 201 }, () => 'a.com') }, 'network.allow', /at most 200 rules, got 201/],
  [{ deny: Array.from({ length: 201 }, () => 'a.com') }, 'network.deny', /at most 200 rules, got 201/],
] as const)('options %j are refused', ([options, field, expected]) => {
  const error = refusal(options)
  expect(error.details).toEqual({ field })
  expect(error.message).toMatch(expected)
  expect(error.message.startsWith(`${field}: expected`)).toBe(true)
})

test('200 rules are accepted', () => {
  expect(parseNetworkPolicy({ allow: Array.from({ length: 200 }, () => 'a.com') }).allow).toHaveLength(200)
})

test('a long rule is cut in the message', () => {
  expect(refusal({ allow: ['x'.repeat(5000)] }).message.length).toBeLessThan(400)
})

test('a policy is frozen through and through, and does not follow its options', () => {
  const allow = ['10.0.0.0/8:80', 'a.com']
  const policy = parseNetworkPolicy({ allow, deny: ['b.com'] })
  allow.push('*')
  expect(policy.allow).toHaveLength(2)
  const frozen = (value: unknown): boolean =>
    typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen))
  expect(frozen(policy)).toBe(true)
  expect(frozen(parseNetworkPolicy(true))).toBe(true)
  expect(frozen(parseNetworkPolicy(false))).toBe(true)
})
