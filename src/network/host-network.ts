import { lookup } from 'node:dns/promises'
import { networkInterfaces } from 'node:os'
import { rootCertificates } from 'node:tls'
import type { Logger } from '../base/index.ts'
import { readAuthorities } from './authorities.ts'
import { type Connect, connectSocket } from './connect/direct.ts'
import { type ChooseProxy, proxyOfEnvironment } from './connect/proxy-choice.ts'
import type { Lookup } from './dns/resolver.ts'
import { Lanes } from './lanes.ts'

/** What the sandboxes of this process share of the host's network. */
export interface HostNetwork {
  readonly lookup: Lookup
  /** The slots for lookups: each holds a thread that file operations need, too. */
  readonly lookups: Lanes
  readonly connect: Connect
  readonly chooseProxy: ChooseProxy
  /** The addresses of the host's interfaces, as they are now. */
  ownAddresses(): ReadonlySet<string>
  /** PEM of all that may certify an https: proxy: what Node trusts and the host's extra ones. */
  proxyAuthorities(): Promise<readonly string[]>
  /** The host's extra certificate authorities as PEM, read once; empty where it has none. Never rejects. */
  authorities(): Promise<string>
}

/** Threads that libuv makes unless the variable of that name says otherwise. */
const DEFAULT_THREADS = 4

/** Questions of one sandbox that wait for a slot; the agent lets programs ask 64 at once. */
const MAX_WAITING_LOOKUPS = 64

/** Opens it: nothing is read, resolved or connected before somebody asks. One for the whole process. */
export function openHostNetwork(logger: Logger): HostNetwork {
  let read: Promise<string> | undefined
  const authorities = async (): Promise<string> =>
    await (read ??= readAuthorities({ environment: process.env, logger }))
  return {
    lookup,
    lookups: lookupLanes(Number(process.env['UV_THREADPOOL_SIZE'] ?? DEFAULT_THREADS)),
    connect: connectSocket,
    chooseProxy: proxyOfEnvironment,
    ownAddresses: () =>
      new Set(Object.values(networkInterfaces()).flatMap((each) => each?.map(({ address }) => address) ?? [])),
    authorities,
    proxyAuthorities: async () => [...rootCertificates, await authorities()],
  }
}

/**
 * libuv gives lookups at most half of its threads, so that files have the others. A sandbox gets half of that half: a
 * domain whose servers never answer holds a thread for half a minute, and must not hold all of them.
 */
export function lookupLanes(threads: number): Lanes {
  const slots = Math.max(1, Math.ceil((threads > 0 ? threads : DEFAULT_THREADS) / 2))
  return new Lanes({ slots, slotsPerLane: Math.ceil(slots / 2), maxWaitingPerLane: MAX_WAITING_LOOKUPS })
}
