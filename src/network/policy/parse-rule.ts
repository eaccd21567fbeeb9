import { isIPv4 } from 'node:net'
import { domainToASCII } from 'node:url'
import { InvalidInputError } from '../../base/index.ts'
import { isHostName } from '../dns/host-name.ts'
import { addressOf, addressValue, blockOf, contains, networkOf } from './ip-address.ts'
import type { AddressBlock, NetworkRule, PortRange, RuleSubject } from './network-policy.ts'

/** Longer than any rule: a name of 253 characters in Unicode, and ports. */
const MAX_RULE_LENGTH = 1024
const RULE_FORMS =
  'a name ("example.com"), a wildcard ("*.example.com"), "*", an address or a CIDR block ("10.0.0.0/8", "[2001:db8::/32]"), each with an optional ":port" or ":first-last"'
const IPV4_MAPPED = blockOf('::ffff:0:0/96')

/** What is wrong with a rule: a description of what would be right. */
class Expected extends Error {}

/**
 * Reads one rule.
 * @param field the rule's place, e.g. `network.allow[2]`
 * @throws InvalidInputError "expected X, got Y"
 */
export function parseRule(value: unknown, field: string): NetworkRule {
  if (typeof value !== 'string') {
    throw new InvalidInputError(`${field}: expected a string, got ${value === null ? 'null' : typeof value}`, { field })
  }
  try {
    return readRule(value)
  } catch (error) {
    if (!(error instanceof Expected)) throw error
    const shown = JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value)
    throw new InvalidInputError(`${field}: expected ${error.message}, got ${shown}`, { field })
  }
}

function readRule(text: string): NetworkRule {
  if (text.length === 0 || text.length > MAX_RULE_LENGTH) throw new Expected(RULE_FORMS)
  const { host, port } = split(text)
  const subject = Object.freeze(host.bracketed ? blockSubject(readBlock(host.text, 6)) : readSubject(host.text))
  return Object.freeze({ text, subject, ports: port === undefined ? undefined : readPorts(port) })
}

interface SplitRule {
  readonly host: { readonly text: string; readonly bracketed: boolean }
  readonly port: string | undefined
}

/** Cuts the port off: the colons of IPv6 leave no room for one but behind brackets. */
function split(text: string): SplitRule {
  if (text.startsWith('[')) {
    const [, inside = '', port] = /^\[([^[\]]+)\](?::(.*))?$/s.exec(text) ?? []
    if (inside === '') throw new Expected('"[address]", "[address/prefix]", each with an optional ":port"')
    return { host: { text: inside, bracketed: true }, port }
  }
  const first = text.indexOf(':')
  if (first === -1) return { host: { text, bracketed: false }, port: undefined }
  if (text.includes(':', first + 1)) return { host: { text, bracketed: true }, port: undefined }
  return { host: { text: text.slice(0, first), bracketed: false }, port: text.slice(first + 1) }
}

function readSubject(text: string): RuleSubject {
  if (text === '*') return { kind: 'any' }
  if (isIPv4(text) || text.includes('/')) return blockSubject(readBlock(text, 4))
  return text.startsWith('*.')
    ? { kind: 'subdomains', name: readName(text.slice(2)) }
    : { kind: 'name', name: readName(text) }
}

function blockSubject(block: AddressBlock): RuleSubject {
  return { kind: 'addresses', block }
}

/** A block without bits behind its prefix: with such bits one cannot know whether the address or the block was meant. */
function readBlock(text: string, family: 4 | 6): AddressBlock {
  const slash = text.indexOf('/')
  const address = addressValue(slash === -1 ? text : text.slice(0, slash))
  if (address?.family !== family) throw new Expected(RULE_FORMS)
  const block = { family, base: address.bits, prefixBits: readPrefix(slash, text, family) }
  const network = networkOf(block)
  if (network.base !== block.base) {
    throw new Expected(
      `a block without bits behind its prefix ("${addressOf(family, network.base).text}/${block.prefixBits}")`,
    )
  }
  // An IPv4-mapped address is judged as IPv4, so that a rule in this notation would never match.
  if (block.prefixBits >= 96 && contains(IPV4_MAPPED, { family, value: block.base })) {
    throw new Expected(
      `IPv4 notation ("${addressOf(4, block.base & 0xffff_ffffn).text}/${block.prefixBits - 96}") for IPv4-mapped addresses`,
    )
  }
  return Object.freeze(block)
}

function readPrefix(slash: number, text: string, family: 4 | 6): number {
  const most = family === 4 ? 32 : 128
  if (slash === -1) return most
  const digits = text.slice(slash + 1)
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(digits) || Number(digits) > most) throw new Expected(`a prefix of 0–${most} bits`)
  return Number(digits)
}

function readName(text: string): string {
  // domainToASCII reads its input like the host of a URL: it would cut "a/b", decode "%61" and turn "127.1" into an address.
  // What is ASCII must therefore be right before, and everything after.
  // eslint-disable-next-line no-control-regex
  if (!/^(?:[A-Za-z0-9._-]|[^\0-\x7f])+$/.test(text)) throw new Expected(RULE_FORMS)
  if (text.endsWith('.')) throw new Expected('a name without a dot at its end')
  const name = domainToASCII(text)
  if (isIPv4(name)) throw new Expected(`an address as four decimal numbers ("${name}")`)
  if (!isHostName(name)) {
    throw new Expected('a host name (labels of letters, digits, "-" and "_", at most 63 long, 253 in all)')
  }
  return name
}

function readPorts(text: string): PortRange {
  const [, first = '', last = first] = /^([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?$/.exec(text) ?? []
  const ports = { first: Number(first), last: Number(last) }
  if (first === '' || ports.last > 65_535 || ports.first > ports.last) {
    throw new Expected('a port of 1–65535 or a range "first-last" behind the colon')
  }
  return Object.freeze(ports)
}
