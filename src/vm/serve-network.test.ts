import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { openPair, type Pair } from '../../test/channel/open-pair.ts'
import { endOf } from '../../test/vm/port-clients.ts'
import { createLogger } from '../base/index.ts'
import { Gateway, openHostNetwork, parseNetworkPolicy } from '../network/index.ts'
import { serveNetwork } from './serve-network.ts'

const FROM_GUEST = 0
const TO_GUEST = 1
const logger = createLogger('error')

interface Parts extends AsyncDisposable {
  readonly pair: Pair
  readonly gateway: Gateway
  readonly port: number
  /** The next connection that the server accepts. */
  accepted(): Promise<Socket>
}

/** A guest played by the test, the real gateway, and a real server on loopback, which the policy allows. */
async function parts(): Promise<Parts> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new TypeError('no port')
  const policy = parseNetworkPolicy({ allow: ['127.0.0.1/32', 'allowed.example'] })
  const lookup = async () => await Promise.resolve([{ address: '93.184.216.34', family: 4 }])
  const gateway = new Gateway({ policy, host: { ...openHostNetwork(logger), lookup }, logger })
  const pair = await openPair()
  serveNetwork(pair.channel, gateway)
  return {
    pair,
    gateway,
    port: address.port,
    accepted: async () => {
      const [socket] = (await once(server, 'connection')) as [Socket]
      return socket.on('error', () => undefined)
    },
    [Symbol.asyncDispose]: async () => {
      await pair[Symbol.asyncDispose]()
      gateway.close()
      server.close()
    },
  }
}

async function heard({ peer }: Pair, type: 'EVENT' | 'RESPONSE'): Promise<unknown> {
  const { payload } = await peer.next(type)
  return JSON.parse(payload.toString())
}

describe('the guest on the network', () => {
  test('connects, sends, hears, and ends both ways', async () => {
    await using all = await parts()
    const { pair, port } = all
    const accepted = all.accepted()
    pair.peer.request(2, 'connect', { address: '127.0.0.1', port })
    const server = await accepted
    expect(await heard(pair, 'EVENT')).toEqual({ event: 'connected' })
    pair.peer.data(2, FROM_GUEST, Buffer.from('question'))
    expect(String((await once(server, 'data'))[0])).toBe('question')
    pair.peer.end(2, FROM_GUEST)
    await once(server, 'end')
    server.end('answer')
    const { header } = await pair.peer.next('END')
    expect(header).toMatchObject({ id: 2, stream: TO_GUEST })
    expect(pair.peer.dataBytes.get(`2/${TO_GUEST}`)).toBe(6)
    expect(await heard(pair, 'RESPONSE')).toEqual({ result: {} })
    expect(all.gateway.metrics()).toMatchObject({ bytesSent: 8, bytesReceived: 6 })
  })

  test('is told why it is not connected', async () => {
    await using all = await parts()
    all.pair.peer.request(2, 'connect', { address: '10.0.0.1', port: 80 })
    expect(await heard(all.pair, 'RESPONSE')).toMatchObject({ error: { code: 'refused' } })
    const closed = createServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const address = closed.address()
    closed.close()
    await once(closed, 'close')
    const port = typeof address === 'object' ? address?.port : undefined
    all.pair.peer.request(4, 'connect', { address: '127.0.0.1', port })
    expect(await heard(all.pair, 'RESPONSE')).toMatchObject({ error: { code: 'connection-refused' } })
  })

  test('is told that its peer reset the connection, and resets it by CANCEL', async () => {
    await using all = await parts()
    const { pair, port } = all
    for (const [id, whoResets] of [
      [2, 'server'],
      [4, 'guest'],
    ] as const) {
      const accepted = all.accepted()
      pair.peer.request(id, 'connect', { address: '127.0.0.1', port })
      const server = await accepted
      await heard(pair, 'EVENT')
      const gone = endOf(server)
      if (whoResets === 'server') server.resetAndDestroy()
      else pair.peer.cancel(id)
      await gone
      expect(await heard(pair, 'RESPONSE')).toMatchObject({ error: { code: 'reset' } })
    }
    expect(all.gateway.metrics().connections).toMatchObject({ open: 0, opened: 2 })
  })

  test('resolves names as the policy says', async () => {
    await using all = await parts()
    const ask = async (id: number, name: string, type: 'A' | 'AAAA'): Promise<unknown> => {
      all.pair.peer.request(id, 'resolve', { name, type })
      return await heard(all.pair, 'RESPONSE')
    }
    const ok = { status: 'ok', addresses: ['93.184.216.34'], ttlS: expect.any(Number) }
    expect(await ask(2, 'Allowed.Example', 'A')).toEqual({ result: ok })
    expect(await ask(4, 'allowed.example', 'AAAA')).toMatchObject({ result: { status: 'no-data', addresses: [] } })
    expect(await ask(6, 'other.example', 'A')).toMatchObject({ result: { status: 'refused', addresses: [] } })
    expect(all.gateway.metrics().dns).toMatchObject({ asked: 3, refused: 1 })
  })

  test('that is gone takes its connections with it', async () => {
    await using all = await parts()
    const { pair, port } = all
    const accepted = all.accepted()
    pair.peer.request(2, 'connect', { address: '127.0.0.1', port })
    const server = await accepted
    await heard(pair, 'EVENT')
    const gone = endOf(server)
    await pair.channel.close()
    await gone
    expect(all.gateway.metrics().connections.open).toBe(0)
  })
})
