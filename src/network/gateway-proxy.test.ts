import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { clientHello } from '../../test/network/client-hello.ts'
import { type ConnectProxy, connectProxy, tcpServer } from '../../test/network/servers.ts'
import { TestGateway, type TestGatewayOptions } from '../../test/network/test-gateway.ts'

const ECHO = (socket: Socket): void => void socket.pipe(socket)

function worldBehind(proxy: ConnectProxy, options: TestGatewayOptions): TestGateway {
  const url = new URL(`http://127.0.0.1:${proxy.port}`)
  return new TestGateway({ ...options, host: { chooseProxy: () => ({ kind: 'proxy', url }), ...options.host } })
}

test('the proxy is told the name, and a name that only it knows gets a stand-in', async () => {
  await using server = await tcpServer(ECHO)
  await using proxy = await connectProxy({ route: () => ({ host: '127.0.0.1', port: server.port }) })
  using world = worldBehind(proxy, { network: { allow: ['*.example'] }, names: { 'known.example': ['93.184.216.34'] } })
  for (const name of ['known.example', 'unknown.example']) {
    const program = await world.open(name, 443)
    const hello = await clientHello(name)
    await program.send(hello)
    await program.read()
    program.reset()
  }
  expect(proxy.asked).toEqual(['known.example:443', 'unknown.example:443'])
  expect(world.dialled).toEqual([])
})

test('the policy holds before the proxy is asked', async () => {
  await using proxy = await connectProxy({ route: () => 500 })
  using world = worldBehind(proxy, {
    network: { allow: ['good.example:443'] },
    names: { 'good.example': ['10.0.0.1'] },
  })
  expect((await world.resolve('bad.example')).status).toBe('refused')
  expect((await world.resolve('good.example')).status).toBe('refused')
  expect(await world.program('93.184.216.34', 443).ended).toMatchObject({ failure: { code: 'refused' } })
  expect(proxy.asked).toEqual([])
})

test('names of the proxy’s own network are not everything public', async () => {
  await using proxy = await connectProxy({ route: () => 500 })
  using world = worldBehind(proxy, { network: true })
  for (const name of ['localhost', 'intranet', 'printer.local', 'metadata.google.internal']) {
    expect((await world.resolve(name)).status).toBe('refused')
  }
  expect((await world.resolve('public.example')).status).toBe('ok')
})

test('a bare address goes through the proxy as an address', async () => {
  await using server = await tcpServer(ECHO)
  await using proxy = await connectProxy({ route: () => ({ host: '127.0.0.1', port: server.port }) })
  using world = worldBehind(proxy, { network: { allow: ['93.184.216.0/24'] } })
  await world.program('93.184.216.34', 5432).connected
  expect(proxy.asked).toEqual(['93.184.216.34:5432'])
})

test('of several names of an address the proxy is told one that is allowed now', async () => {
  await using server = await tcpServer(ECHO)
  await using proxy = await connectProxy({ route: () => ({ host: '127.0.0.1', port: server.port }) })
  const names = { 'a.example': ['93.184.216.34'], 'b.example': ['93.184.216.34'] }
  using world = worldBehind(proxy, { network: { allow: ['*.example'] }, names })
  await world.resolve('a.example')
  await world.resolve('b.example')
  world.setNetwork({ allow: ['b.example'] })
  await world.program('93.184.216.34', 80).connected
  expect(proxy.asked).toEqual(['b.example:80'])
})

test('a refusal by the proxy is told as one, and counted as a failure of what was allowed', async () => {
  await using proxy = await connectProxy({ route: () => 403 })
  using world = worldBehind(proxy, { network: true })
  const program = world.program('93.184.216.34', 443)
  expect(await program.ended).toEqual({
    kind: 'failed',
    failure: { code: 'refused', message: 'the policy of this sandbox does not allow it' },
  })
  // Who the proxy is and what it said are for the log, not for the guest.
  expect(world.debugLog.some((line) => line.includes(`127.0.0.1:${proxy.port} answered 403`))).toBe(true)
  expect(world.gateway.metrics()).toMatchObject({ connections: { failed: 1, refused: 0 }, refused: [] })
})

test('the host itself is never reached by a proxy', async () => {
  await using server = await tcpServer(ECHO)
  await using proxy = await connectProxy({ route: () => 500 })
  using world = worldBehind(proxy, {
    network: { allow: ['host.exec-sandbox.internal'] },
    routes: { '127.0.0.1:80': server.port },
  })
  await world.open('host.exec-sandbox.internal', 80)
  expect(proxy.asked).toEqual([])
})

test('a proxy that nobody can speak to is no way around it', async () => {
  using world = new TestGateway({
    network: true,
    host: { chooseProxy: () => ({ kind: 'unusable', reason: 'expected a proxy with http: or https:, got socks5:' }) },
  })
  expect(await world.program('93.184.216.34', 443).ended).toMatchObject({
    failure: { code: 'unreachable' },
  })
  expect(world.debugLog.some((line) => line.includes('socks5'))).toBe(true)
  expect(world.dialled).toEqual([])
})

test('a host that cannot resolve is not asked again and again', async () => {
  let asked = 0
  await using proxy = await connectProxy({ route: () => 500 })
  using world = worldBehind(proxy, {
    network: true,
    host: {
      lookup: async () => ((asked += 1), await Promise.reject(Object.assign(new Error('x'), { code: 'EAI_AGAIN' }))),
    },
  })
  expect((await world.resolve('a.example')).status).toBe('ok')
  expect((await world.resolve('b.example')).status).toBe('ok')
  expect(asked).toBe(1)
})
