import { expect, test } from 'vitest'
import { openPair, type Pair } from '../../test/channel/open-pair.ts'
import { AbortedError, createLogger } from '../base/index.ts'
import { type HostNetwork, openHostNetwork, parseNetworkPolicy } from '../network/index.ts'
import { SandboxNetwork } from './sandbox-network.ts'

const logger = createLogger('silent')
const PUBLIC = '93.184.216.34'

/** The network of a sandbox whose guest is played by the test. */
function networkOf({ channel }: Pair, host: Partial<HostNetwork> = {}): SandboxNetwork {
  return new SandboxNetwork({
    vm: { channel, bootLog: '', explain: async (error) => await Promise.resolve(error) },
    life: { atEnd: () => undefined, busy: async (work) => await work(), throwIfEnded: () => undefined },
    policy: parseNetworkPolicy(false),
    host: { ...openHostNetwork(logger), authorities: async () => await Promise.resolve(''), ...host },
    logger,
  })
}

/** The next word of the host about the network: its id, and whether it is to be on. */
async function told({ peer }: Pair): Promise<{ readonly id: number; readonly enabled: unknown }> {
  const { header, payload } = await peer.next('REQUEST')
  const body = JSON.parse(payload.toString()) as { readonly params: { readonly enabled: unknown } }
  return { id: header.id, enabled: body.params.enabled }
}

async function on(pair: Pair, network: SandboxNetwork): Promise<void> {
  const changed = network.change(true, undefined)
  pair.peer.respond((await told(pair)).id, { guestMs: 1 })
  await changed
}

test('a policy holds at once, although the guest has not answered the change before it', async () => {
  await using pair = await openPair()
  const network = networkOf(pair)
  const first = network.change({ allow: [PUBLIC] }, undefined)
  const { id } = await told(pair)
  const second = network.change({ allow: [] }, undefined)
  pair.peer.request(2, 'connect', { address: PUBLIC, port: 80 })
  const { payload } = await pair.peer.next('RESPONSE')
  expect(JSON.parse(payload.toString())).toMatchObject({ error: { code: 'refused' } })
  pair.peer.respond(id, { guestMs: 1 })
  await Promise.all([first, second])
})

test('a change that is aborted before the guest was told can be made again', async () => {
  await using pair = await openPair()
  const abort = new AbortController()
  const network = networkOf(pair, {
    authorities: async () => {
      abort.abort()
      return await Promise.resolve('')
    },
  })
  await expect(network.change(true, abort.signal)).rejects.toThrow(AbortedError)
  const again = network.change(true, undefined)
  const { id, enabled } = await told(pair)
  expect(enabled).toBe(true)
  pair.peer.respond(id, { guestMs: 1 })
  await again
})

test('a change that the guest could not make can be made again', async () => {
  await using pair = await openPair()
  const network = networkOf(pair)
  const failed = network.change(true, undefined)
  pair.peer.refuse((await told(pair)).id, 'internal')
  await expect(failed).rejects.toThrow('could not switch its network on')
  await on(pair, network)
})

test('the last of several changes is what the guest is left with', async () => {
  await using pair = await openPair()
  const network = networkOf(pair)
  const changes = [network.change(true, undefined)]
  const first = await told(pair)
  changes.push(network.change(false, undefined), network.change({ allow: [] }, undefined))
  changes.push(network.change(false, undefined))
  pair.peer.respond(first.id, { guestMs: 1 })
  const last = await told(pair)
  expect([first.enabled, last.enabled]).toEqual([true, false])
  pair.peer.respond(last.id, { guestMs: 1 })
  await Promise.all(changes)
  expect(pair.peer.heard.filter(({ header }) => header.type === 'REQUEST')).toEqual([])
})
