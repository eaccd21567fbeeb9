import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Logger } from './base/index.ts'
import type { HostPaths } from './host/index.ts'
import { HOST_LOOPBACK_NAME, judgeTarget, parseNetworkPolicy } from './network/index.ts'
import {
  type IndexAccess,
  type IndexHost,
  isLoopback,
  PackageLayers,
  type ResolvedPackagesOptions,
  type StartInstallingVm,
  withHost,
} from './packages/index.ts'
import type { RemoteCacheOptions } from './remote/index.ts'

export interface PackageSupplyOptions {
  readonly paths: HostPaths
  readonly limitBytes: number
  readonly packages: ResolvedPackagesOptions
  readonly remoteCache: RemoteCacheOptions | undefined
  readonly startVm: StartInstallingVm
  readonly logger: Logger
}

/** Installed packages for sandboxes: what `packages` knows of a network, it gets from here. */
export function openPackageLayers(options: PackageSupplyOptions): PackageLayers {
  return new PackageLayers({ ...options, env: process.env, rulesFor, asGuestKnows })
}

/** Rules for hosts that the user's own configuration names, or that an index names which it names. */
async function rulesFor(hosts: readonly IndexHost[]): Promise<readonly string[]> {
  const rules = await Promise.all(hosts.map(async (host) => await rulesOf(host)))
  return [...new Set(rules.flat())]
}

async function rulesOf({ host, port }: IndexHost): Promise<readonly string[]> {
  const rule = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
  if (isIP(host) !== 0 || host === HOST_LOOPBACK_NAME) return [rule]
  // An index of a company has a name with a private address. Whoever configured it meant that host and no other one there.
  const addresses = await lookup(host, { all: true }).catch(() => [])
  return [
    rule,
    ...addresses
      .map(({ address }) => address)
      .filter((address) => isPrivate(address, port))
      .map((address) => `${isIP(address) === 6 ? `[${address}]` : address}:${port}`),
  ]
}

const PUBLIC = parseNetworkPolicy(true)

function isPrivate(realAddress: string, port: number): boolean {
  return !judgeTarget(PUBLIC, { realAddress, port, names: [] }).allowed
}

/** An index on this machine: in the guest its loopback addresses are the guest's own. */
function asGuestKnows(access: IndexAccess): IndexAccess {
  const known = (index: NonNullable<IndexAccess['main']>): typeof index =>
    isLoopback(index.host) ? withHost(index, HOST_LOOPBACK_NAME) : index
  return {
    ...access,
    main: access.main === undefined ? undefined : known(access.main),
    further: access.further.map(({ index, scope }) => ({ index: known(index), scope })),
  }
}
