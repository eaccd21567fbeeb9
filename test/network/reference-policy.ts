/**
 * A second opinion on network policies, written from the specification alone and as plainly as possible: addresses are
 * strings of bits, blocks are prefixes of such strings, ports are compared one by one. It shares no code with src/network.
 */

/** A rule as it was generated; `text` is what the product gets to read. */
export interface ModelRule {
  readonly text: string
  readonly kind: 'any' | 'name' | 'subdomains' | 'addresses'
  readonly name: string
  /** Leading bits, with the family in front: `4:00001010` is 10.0.0.0/8. */
  readonly bits: string
  readonly ports: readonly [first: number, last: number]
  /** Whether the text has a port. */
  readonly hasPorts: boolean
}

export interface ModelPolicy {
  readonly enabled: boolean
  readonly allow: readonly ModelRule[]
  readonly deny: readonly ModelRule[]
}

/** Sixteen bytes or four. */
export type ModelAddress = readonly number[]

export interface ModelQuestion {
  readonly address: ModelAddress | 'proxy'
  readonly port: number
  readonly names: readonly string[]
}

export interface ModelAnswer {
  readonly allowed: boolean
  readonly rule: string
  readonly ground?: 'address' | 'any' | 'name'
}

const HOST = 'host.exec-sandbox.internal'

function bitsOf(address: ModelAddress): string {
  return `${address.length === 4 ? '4' : '6'}:${address.map((byte) => byte.toString(2).padStart(8, '0')).join('')}`
}

/** What is really connected: an IPv4-mapped address is IPv4. */
export function plain(address: ModelAddress): ModelAddress {
  const mapped =
    address.length === 16 &&
    address.slice(0, 10).every((byte) => byte === 0) &&
    address[10] === 255 &&
    address[11] === 255
  return mapped ? address.slice(12) : address
}

const hex = (address: ModelAddress): string => address.map((byte) => byte.toString(16).padStart(2, '0')).join('')

function insides(address: ModelAddress): ModelAddress[] {
  if (address.length === 4) return []
  const text = hex(address)
  const last = address.slice(12)
  if (text.startsWith('0064ff9b0000000000000000')) return [last]
  if (text.startsWith('2002')) return [address.slice(2, 6)]
  if (text.startsWith('20010000')) return [last.map((byte) => 255 - byte), address.slice(4, 8)]
  if (text.startsWith('0000000000000000ffff0000')) return [last]
  if (/^0{24}/.test(text) && !/^0{31}[01]$/.test(text)) return [last]
  return []
}

function specialIPv4([a = 0, b = 0, c = 0, d = 0]: ModelAddress): string | undefined {
  const text = `${a}.${b}.${c}.${d}`
  const metadata = [
    '169.254.169.254',
    '169.254.170.2',
    '169.254.170.23',
    '168.63.129.16',
    '100.100.100.200',
    '192.0.0.192',
  ]
  if (metadata.includes(text)) return 'metadata'
  if (a === 0) return b + c + d === 0 ? 'unspecified' : 'this network'
  if (a === 127) return 'loopback'
  if (a === 10 || (a === 172 && b >= 16 && b <= 31) || (a === 192 && b === 168)) return 'private'
  if (a === 169 && b === 254) return 'link-local'
  if (a === 100 && b >= 64 && b <= 127) return 'carrier-grade NAT'
  if (a === 198 && (b === 18 || b === 19)) return 'benchmarking'
  if (/^(?:192\.0\.0|192\.88\.99)\./.test(text)) return 'protocol assignments'
  if (a >= 224 && a <= 239) return 'multicast'
  if (text === '255.255.255.255') return 'broadcast'
  return a >= 240 ? 'reserved' : undefined
}

function specialIPv6(address: ModelAddress): string | undefined {
  const text = hex(address)
  if (/^(?:fd000ec2000000000000000000000(?:254|023)|fd2000ce000000000000000000000254)$/.test(text)) return 'metadata'
  if (/^0+$/.test(text)) return 'unspecified'
  if (/^0+1$/.test(text) && text.length === 32 && text.endsWith('0001')) return 'loopback'
  if (/^f[cd]/.test(text)) return 'private'
  if (/^fe[89ab]/.test(text)) return 'link-local'
  if (/^fe[cdef]/.test(text)) return 'site-local'
  if (text.startsWith('200100020000')) return 'benchmarking'
  if (/^2001(?:00|01)/.test(text)) return 'protocol assignments'
  if (text.startsWith('0064ff9b0001')) return 'local translation'
  if (text.startsWith('ff')) return 'multicast'
  return /^[23]/.test(text) ? undefined : 'reserved'
}

export function special(address: ModelAddress): string | undefined {
  if (address.length === 4) return specialIPv4(address)
  const inside = insides(address)
  if (inside.length === 0) return specialIPv6(address)
  return inside.map(specialIPv4).find((range) => range !== undefined)
}

/** How many bits of the address its special range has in common. */
function rangeBits(address: ModelAddress): number {
  const isV4 = address.length === 4
  switch (special(address)) {
    case 'metadata':
    case 'unspecified':
    case 'broadcast':
      return isV4 ? 32 : 128
    case 'this network':
      return 8
    case 'loopback':
      return isV4 ? 8 : 128
    case 'private':
      return isV4 ? ({ 10: 8, 172: 12 }[address[0] ?? 0] ?? 16) : 7
    case 'link-local':
      return isV4 ? 16 : 10
    case 'site-local':
    case 'carrier-grade NAT':
      return 10
    case 'benchmarking':
      return isV4 ? 15 : 48
    case 'protocol assignments':
      return isV4 ? 24 : 23
    case 'local translation':
      return 48
    case 'multicast':
      return isV4 ? 4 : 8
    case 'reserved':
      return isV4 ? 4 : 3
    case undefined:
      return 0
    default:
      throw new RangeError('a range without a width')
  }
}

/** Not public addresses are opened by blocks within their own range alone. */
function opens(rule: ModelRule, address: ModelAddress): boolean {
  const strange = [...insides(address), address].find((each) => special(each) !== undefined)
  return strange === undefined || rule.bits.startsWith(bitsOf(strange).slice(0, 2 + rangeBits(strange)))
}

const ofName = (rule: ModelRule, name: string): boolean =>
  (rule.kind === 'name' && rule.name === name) ||
  (rule.kind === 'subdomains' && name !== rule.name && name.slice(-rule.name.length - 1) === `.${rule.name}`)

const inBlock = (rule: ModelRule, address: ModelAddress): boolean =>
  rule.kind === 'addresses' && bitsOf(address).startsWith(rule.bits)

const onPort = (rule: ModelRule, port: number): boolean => port >= rule.ports[0] && port <= rule.ports[1]

const ofProxy = (name: string): boolean =>
  !name.includes('.') || /(?:^|\.)(?:localhost|local|internal|home\.arpa)$/.test(name)

export function target(policy: ModelPolicy, question: ModelQuestion): ModelAnswer {
  if (!policy.enabled) return { allowed: false, rule: 'network: false' }
  const { port, names } = question
  const address = question.address === 'proxy' ? undefined : plain(question.address)
  const inside = address === undefined ? [] : insides(address)
  for (const rule of policy.deny) {
    if (!onPort(rule, port)) continue
    if (rule.kind === 'any' || names.some((name) => ofName(rule, name))) return { allowed: false, rule: rule.text }
    if (address !== undefined && [address, ...inside].some((each) => inBlock(rule, each))) {
      return { allowed: false, rule: rule.text }
    }
  }
  const open = policy.allow.filter((rule) => onPort(rule, port))
  const byAddress = open.find(
    (rule) =>
      address !== undefined &&
      opens(rule, address) &&
      (inBlock(rule, address) || (inside.length > 0 && inside.every((each) => inBlock(rule, each)))),
  )
  if (byAddress !== undefined) return { allowed: true, rule: byAddress.text, ground: 'address' }
  const range = address === undefined ? undefined : special(address)
  if (names.includes(HOST)) {
    const exact = open.find((rule) => rule.kind === 'name' && rule.name === HOST)
    if (exact !== undefined && address?.join('.') === '127.0.0.1')
      return { allowed: true, rule: exact.text, ground: 'name' }
  }
  if (range === undefined && !names.includes(HOST) && (address !== undefined || !names.some(ofProxy))) {
    const star = open.find((rule) => rule.kind === 'any')
    if (star !== undefined) return { allowed: true, rule: star.text, ground: 'any' }
  }
  if (range === undefined) {
    const usable = names.filter((name) => name !== HOST && (address !== undefined || !/(?:^|\.)localhost$/.test(name)))
    const named = open.find((rule) => usable.some((name) => ofName(rule, name)))
    if (named !== undefined) return { allowed: true, rule: named.text, ground: 'name' }
  }
  if (names.includes(HOST)) return { allowed: false, rule: 'host name' }
  if (range !== undefined) return { allowed: false, rule: range }
  if (address === undefined && names.some(ofProxy)) return { allowed: false, rule: 'names of the proxy’s own network' }
  return { allowed: false, rule: 'not allowed by any rule' }
}

/** Every port at which some rule begins or ends, and their neighbours: between them nothing changes. */
function edges(policy: ModelPolicy): number[] {
  const ports = [...policy.allow, ...policy.deny].flatMap((rule) => [
    rule.ports[0],
    rule.ports[1],
    rule.ports[0] - 1,
    rule.ports[1] + 1,
  ])
  return [...new Set([1, 65_535, ...ports])].filter((port) => port >= 1 && port <= 65_535)
}

export function resolvable(policy: ModelPolicy, name: string): boolean {
  if (!policy.enabled) return false
  const about = (rule: ModelRule): boolean => rule.kind === 'any' || ofName(rule, name)
  return edges(policy).some(
    (port) =>
      !policy.deny.some((rule) => about(rule) && onPort(rule, port)) &&
      policy.allow.some(
        (rule) => (name === HOST ? rule.kind === 'name' && rule.name === HOST : about(rule)) && onPort(rule, port),
      ),
  )
}

export function answerable(policy: ModelPolicy, name: string, address: ModelAddress): boolean {
  return edges(policy).some((port) => target(policy, { address, port, names: [name] }).allowed)
}

const TLS = [443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 5061, 6697, 8443]

/** `opening`: a server name, `no name`, `not tls` or `malformed`. */
export function tls(policy: ModelPolicy, question: ModelQuestion, opening: string): boolean {
  const { allowed, ground } = target(policy, question)
  if (!allowed) return false
  const { port, names } = question
  const denies = policy.deny.filter(
    (rule) => onPort(rule, port) && (rule.kind === 'name' || rule.kind === 'subdomains'),
  )
  if (opening === 'not tls') return ground !== 'name' || !TLS.includes(port)
  if (opening === 'malformed') return ground !== 'name' && denies.length === 0
  if (opening === 'no name') return ground !== 'name'
  if (denies.some((rule) => ofName(rule, opening))) return false
  if (ground !== 'name') return true
  return names.includes(opening) && policy.allow.some((rule) => onPort(rule, port) && ofName(rule, opening))
}
