import { isIP } from 'node:net'
import type { IndexHost } from './index-hosts.ts'

/** A host with the addresses that its name has; its own for an address, none where nobody knows (a proxy resolves it). */
export interface ResolvedHost extends IndexHost {
  readonly addresses: readonly string[]
}

/** What the rules are made for. */
export interface IndexRulesRequest {
  /** Hosts of indexes: the user's configuration names them, or they are the default of a tool. */
  readonly indexes: readonly ResolvedHost[]
  /** Hosts that pages of these indexes name. */
  readonly files: readonly ResolvedHost[]
  /** Whether an address is one of the public internet. */
  readonly isPublic: (address: string, port: number) => boolean
  /** The name under which a guest knows the host's own loopback. */
  readonly loopbackName: string
}

/**
 * Rules of a network policy that let an installing VM reach indexes and their files. The index of a company has a private
 * address, and whoever configured it meant that; it may name other private hosts for its files. An index of the public
 * internet may not: it could have the VM ask around in the host's own network. Pure.
 */
export function indexRules({ indexes, files, isPublic, loopbackName }: IndexRulesRequest): readonly string[] {
  const isInside = ({ host, port, addresses }: ResolvedHost): boolean =>
    host === loopbackName || addresses.some((address) => !isPublic(address, port))
  const trusted = indexes.some(isInside) ? files : files.filter((host) => !isInside(host))
  const rules = [...indexes, ...trusted].flatMap(({ host, port, addresses }) => [
    ruleOf(host, port),
    // A rule by name opens public addresses only.
    ...addresses
      .filter((address) => address !== host && !isPublic(address, port))
      .map((address) => ruleOf(address, port)),
  ])
  return [...new Set(rules)]
}

function ruleOf(host: string, port: number): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
}
