import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Logger } from './base/index.ts'
import type { HostPaths } from './host/index.ts'
import { HOST_LOOPBACK_NAME, judgeTarget, parseNetworkPolicy } from './network/index.ts'
import {
  type IndexAccess,
  type IndexHost,
  indexRules,
  isLoopback,
  PackageLayers,
  type ResolvedHost,
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

async function rulesFor(indexes: readonly IndexHost[], files: readonly IndexHost[]): Promise<readonly string[]> {
  const resolved = async (hosts: readonly IndexHost[]): Promise<readonly ResolvedHost[]> =>
    await Promise.all(hosts.map(async (host) => ({ ...host, addresses: await addressesOf(host) })))
  return indexRules({
    indexes: await resolved(indexes),
    files: await resolved(files),
    isPublic,
    loopbackName: HOST_LOOPBACK_NAME,
  })
}

async function addressesOf({ host }: IndexHost): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host]
  if (host === HOST_LOOPBACK_NAME) return []
  // Where a proxy of the host resolves names nobody here may know it.
  const answers = await lookup(host, { all: true }).catch(() => [])
  return answers.map(({ address }) => address)
}

const EVERYTHING_PUBLIC = parseNetworkPolicy(true)

function isPublic(realAddress: string, port: number): boolean {
  return judgeTarget(EVERYTHING_PUBLIC, { realAddress, port, names: [] }).allowed
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
