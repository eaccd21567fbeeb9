import fc from 'fast-check'
import type { ModelAddress, ModelPolicy, ModelRule } from './reference-policy.ts'

/** Random rules, names and addresses that meet each other often. */

const HOST = 'host.exec-sandbox.internal'
const LABELS = ['a', 'b', 'www', 'example', 'xn--bcher-kva', 'my_host']
const TOPS = ['com', 'org', 'internal', 'local', 'localhost', 'exec-sandbox.internal', 'home.arpa']

export const names: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc
      .tuple(fc.array(fc.constantFrom(...LABELS), { maxLength: 3 }), fc.constantFrom(...TOPS))
      .map(([labels, top]) => [...labels, top].join('.')),
  },
  { weight: 1, arbitrary: fc.constant(HOST) },
)

const PORTS = [1, 22, 80, 442, 443, 444, 853, 8000, 8443, 65_534, 65_535]
export const ports: fc.Arbitrary<number> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...PORTS) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 65_535 }) },
)

const quad = (text: string): number[] => text.split('.').map(Number)

/** First and last address of each special IPv4 range, and single ones. */
const IPV4 = [
  '0.0.0.0',
  '0.0.0.1',
  '0.255.255.255',
  '10.0.0.0',
  '10.255.255.255',
  '100.64.0.0',
  '100.64.0.2',
  '100.127.255.255',
  '100.100.100.200',
  '127.0.0.0',
  '127.0.0.1',
  '127.255.255.255',
  '168.63.129.16',
  '169.254.0.0',
  '169.254.169.254',
  '169.254.170.2',
  '169.254.170.23',
  '169.254.255.255',
  '172.16.0.0',
  '172.31.255.255',
  '192.0.0.0',
  '192.0.0.192',
  '192.0.0.255',
  '192.0.2.0',
  '192.0.2.255',
  '192.88.99.0',
  '192.88.99.255',
  '192.168.0.0',
  '192.168.255.255',
  '198.18.0.0',
  '198.19.255.255',
  '198.51.100.0',
  '198.51.100.255',
  '203.0.113.0',
  '203.0.113.255',
  '224.0.0.0',
  '239.255.255.255',
  '240.0.0.0',
  '255.255.255.254',
  '255.255.255.255',
  '1.1.1.1',
  '8.8.8.8',
  '93.184.216.34',
].map(quad)

const bytesOf = (hex: string): number[] => [...Buffer.from(hex.padEnd(32, '0'), 'hex')]

/** The start of each IPv6 range that means something. */
const IPV6 = [
  '',
  '00000000000000000000000000000001',
  '0100',
  '0064ff9b0001',
  '2000',
  '20010001',
  '200100020000',
  '200100020001',
  '20010020',
  '200101ff',
  '20010200',
  '20010db8',
  '2606470047000000',
  '2a00',
  '3ffe',
  '3fff0',
  '3fff1',
  '3fffffff',
  '4000',
  '5f00',
  'fc00',
  'fdff',
  'fd000ec2000000000000000000000254',
  'fd20',
  'fe80',
  'febf',
  'fec0',
  'feff',
  'ff02',
  'ffff',
].map(bytesOf)

/** Some steps up or down, with carry. */
function step(address: readonly number[], by: number): ModelAddress {
  const bits = BigInt(address.length * 8)
  const value = BigInt.asUintN(Number(bits), BigInt(`0x${Buffer.from([...address]).toString('hex')}`) + BigInt(by))
  return [...Buffer.from(value.toString(16).padStart(address.length * 2, '0'), 'hex')]
}

const steps = fc.constantFrom(0, 0, 0, -1, 1)
const byte = fc.integer({ min: 0, max: 255 })
const bytes = (length: number): fc.Arbitrary<number[]> => fc.array(byte, { minLength: length, maxLength: length })

export const ipv4: fc.Arbitrary<ModelAddress> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom(...IPV4), steps).map(([address, by]) => step(address, by)) },
  { weight: 1, arbitrary: bytes(4) },
)

/** Every way of standing in an IPv6 address. */
const embedded: fc.Arbitrary<ModelAddress> = fc
  .tuple(fc.constantFrom('mapped', 'compatible', 'translated', 'nat64', '6to4', 'teredo'), ipv4, ipv4, bytes(10))
  .map(([kind, inner, other, rest]) => {
    if (kind === 'mapped') return [...bytesOf('00000000000000000000ffff').slice(0, 12), ...inner]
    if (kind === 'compatible') return [...bytesOf('').slice(0, 12), ...inner]
    if (kind === 'translated') return [...bytesOf('0000000000000000ffff0000').slice(0, 12), ...inner]
    if (kind === 'nat64') return [...bytesOf('0064ff9b').slice(0, 12), ...inner]
    if (kind === '6to4') return [0x20, 0x02, ...inner, ...rest]
    return [0x20, 0x01, 0, 0, ...other, ...rest.slice(0, 4), ...inner.map((each) => 255 - each)]
  })

export const ipv6: fc.Arbitrary<ModelAddress> = fc.oneof(
  { weight: 3, arbitrary: embedded },
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom(...IPV6), steps).map(([address, by]) => step(address, by)) },
  { weight: 1, arbitrary: bytes(15).map((rest) => [0x2a, ...rest]) },
)

export const addresses = fc.oneof({ weight: 3, arbitrary: ipv4 }, { weight: 2, arbitrary: ipv6 })

/** Full notation, without any shortening: every reader must take it. */
export function textOf(address: ModelAddress): string {
  if (address.length === 4) return address.join('.')
  const hex = Buffer.from([...address]).toString('hex')
  return (hex.match(/.{4}/g) ?? []).join(':')
}

const isMapped = (address: ModelAddress): boolean => textOf(address).startsWith('0000:0000:0000:0000:0000:ffff:')

const portParts = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ text: '', ports: [1, 65_535] as const, hasPorts: false }) },
  { weight: 2, arbitrary: ports.map((port) => ({ text: `:${port}`, ports: [port, port] as const, hasPorts: true })) },
  {
    weight: 1,
    arbitrary: fc.tuple(ports, ports).map(([one, other]) => {
      const [first, last] = [Math.min(one, other), Math.max(one, other)]
      return { text: `:${first}-${last}`, ports: [first, last] as const, hasPorts: true }
    }),
  },
)

type Subject = Pick<ModelRule, 'text' | 'kind' | 'name' | 'bits'>

function blockSubject(address: ModelAddress, share: number): Subject {
  const bits = address.map((each) => each.toString(2).padStart(8, '0')).join('')
  const prefix = Math.round(share * bits.length)
  const kept = bits.slice(0, prefix)
  const base = (kept.padEnd(bits.length, '0').match(/.{8}/g) ?? []).map((each) => Number.parseInt(each, 2))
  const text = prefix === bits.length ? textOf(base) : `${textOf(base)}/${prefix}`
  return {
    text: address.length === 4 ? text : `[${text}]`,
    kind: 'addresses',
    name: '',
    bits: `${address.length === 4 ? 4 : 6}:${kept}`,
  }
}

const subjects: fc.Arbitrary<Subject> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ text: '*', kind: 'any' as const, name: '', bits: '' }) },
  { weight: 4, arbitrary: names.map((name) => ({ text: name, kind: 'name' as const, name, bits: '' })) },
  { weight: 2, arbitrary: names.map((name) => ({ text: `*.${name}`, kind: 'subdomains' as const, name, bits: '' })) },
  {
    weight: 3,
    arbitrary: fc
      // A rule in mapped notation is refused (parse-rule.test.ts), so it is not generated.
      .tuple(
        addresses.filter((address) => !isMapped(address)),
        fc.constantFrom(0, 0.125, 0.25, 0.5, 0.625, 0.75, 0.97, 1, 1),
      )
      .map(([address, share]) => blockSubject(address, share)),
  },
)

const rules: fc.Arbitrary<ModelRule> = fc
  .tuple(subjects, portParts)
  .map(([subject, { text, ports: range, hasPorts }]) => ({
    ...subject,
    text: subject.text + text,
    ports: range,
    hasPorts,
  }))

export const policies: fc.Arbitrary<ModelPolicy> = fc.record({
  enabled: fc.constant(true),
  allow: fc.array(rules, { maxLength: 6 }),
  deny: fc.array(rules, { maxLength: 3 }),
})
