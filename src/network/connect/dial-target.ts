import type { Socket } from 'node:net'
import { ConnectionError } from '../connection-error.ts'
import { HOST_LOOPBACK_NAME } from '../dns/host-name.ts'
import type { HostNetwork } from '../host-network.ts'
import type { AllowedTarget } from '../policy/judge-address.ts'
import { BY_PROXY, judgeTarget } from '../policy/judge-target.ts'
import type { NetworkPolicy } from '../policy/network-policy.ts'
import { connectDirect } from './direct.ts'
import { connectThroughProxy } from './proxy.ts'

export interface DialOptions {
  readonly host: HostNetwork
  readonly policy: NetworkPolicy
  readonly signal: AbortSignal
}

/** A connection that stands, and which of the targets it leads to. */
export interface Dialled {
  readonly socket: Socket
  readonly target: AllowedTarget
}

/**
 * Opens a connection to one of `targets`, which are the addresses of one name or one bare address: by the host's proxy if
 * its environment names one for them, else directly.
 * @throws ConnectionError; the signal's reason
 */
export async function dialTarget(targets: readonly AllowedTarget[], options: DialOptions): Promise<Dialled> {
  const [first] = targets
  if (first === undefined) throw new ConnectionError('unreachable', 'no address that could be tried')
  const { host, policy, signal } = options
  const name = nameForProxy(first, policy)
  const asked = name ?? first.realAddress
  // The host's own loopback is nobody's business but the host's.
  const isOwn = first.names.includes(HOST_LOOPBACK_NAME)
  const choice = isOwn ? { kind: 'direct' as const } : host.chooseProxy(asked, first.port)
  if (choice.kind === 'unusable') throw new ConnectionError('unreachable', choice.reason)
  if (choice.kind === 'proxy') {
    const target = `${asked.includes(':') ? `[${asked}]` : asked}:${first.port}`
    const authorities = choice.url.protocol === 'https:' ? { authorities: await host.proxyAuthorities() } : {}
    return { socket: await connectThroughProxy(choice.url, target, { ...authorities, signal }), target: first }
  }
  const addresses = targets.map(({ realAddress }) => realAddress).filter((address) => address !== BY_PROXY)
  if (addresses.length === 0) {
    throw new ConnectionError('unreachable', `${asked} was resolved by a proxy that the host does not use any more`)
  }
  const { socket, address } = await connectDirect(addresses, first.port, { connect: host.connect, signal })
  return { socket, target: targets.find(({ realAddress }) => realAddress === address) ?? first }
}

/**
 * The name that a proxy may be told: one that is allowed by itself, here and where the proxy resolves it. An address can
 * have several names, of which the policy may know one only.
 */
function nameForProxy({ names, realAddress, port }: AllowedTarget, policy: NetworkPolicy): string | undefined {
  return names.find((name) =>
    [realAddress, BY_PROXY].every(
      (address) => judgeTarget(policy, { realAddress: address, port, names: [name] }).allowed,
    ),
  )
}
