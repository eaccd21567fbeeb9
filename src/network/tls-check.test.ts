import { afterEach, expect, test, vi } from 'vitest'
import { clientHello } from '../../test/network/client-hello.ts'
import { tcpServer, type TestServer } from '../../test/network/servers.ts'
import { TestGateway } from '../../test/network/test-gateway.ts'

const ADDRESS = '93.184.216.34'

afterEach(() => {
  vi.useRealTimers()
})

/** A server that keeps what it is sent and answers each piece with `ok`. */
async function recorder(): Promise<TestServer & { readonly got: () => Buffer }> {
  const chunks: Buffer[] = []
  const server = await tcpServer((socket) => {
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      socket.write('ok')
    })
    socket.on('end', () => socket.end())
  })
  return Object.assign(server, { got: () => Buffer.concat(chunks) })
}

function worldOf(server: TestServer, network: ConstructorParameters<typeof TestGateway>[0]['network']): TestGateway {
  return new TestGateway({
    network,
    names: { 'good.example': [ADDRESS], 'also.example': [ADDRESS], 'moved.example': ['93.184.216.99'] },
    routes: { ':443': server.port, ':8443': server.port, ':5000': server.port, ':22': server.port },
  })
}

test('a hello with the allowed name goes out byte for byte', async () => {
  await using server = await recorder()
  using world = worldOf(server, { allow: ['good.example'] })
  const program = await world.open('good.example', 443)
  const hello = await clientHello('good.example')
  await program.send(hello)
  await program.readUntil('ok')
  expect(server.got()).toEqual(hello)
})

test('a hello in single bytes is held until it is whole', async () => {
  await using server = await recorder()
  using world = worldOf(server, { allow: ['good.example'] })
  const program = await world.open('good.example', 443)
  const hello = await clientHello('good.example')
  for (const byte of hello.subarray(0, -1)) await program.send(Uint8Array.of(byte))
  await new Promise((resolve) => setImmediate(resolve))
  expect(server.got()).toHaveLength(0)
  await program.send(hello.subarray(-1))
  await program.readUntil('ok')
  while (server.got().byteLength < hello.byteLength) await program.read()
  expect(server.got()).toEqual(hello)
})

test.each([
  ['another name', 'wrong.example', 'not allowed by any rule'],
  ['an allowed name that leads elsewhere', 'moved.example', 'TLS server name not resolved to this address'],
  ['no name', undefined, 'TLS without a server name'],
])('a hello with %s is refused, and nothing of it goes out', async (_, name, rule) => {
  await using server = await recorder()
  using world = worldOf(server, { allow: ['good.example', 'moved.example'] })
  await world.resolve('moved.example')
  const program = await world.open('good.example', 443)
  await program.send(await clientHello(name))
  expect(await program.ended).toMatchObject({ kind: 'failed', failure: { code: 'refused' } })
  await world.settled()
  expect(server.got()).toHaveLength(0)
  expect(world.refusals).toEqual([`tls ${name ?? 'good.example'} ${ADDRESS} 443 (${rule})`])
  expect(world.gateway.metrics()).toMatchObject({
    bytesSent: 0,
    connections: { open: 0, opened: 1, refused: 1, failed: 0 },
  })
})

test('a name of the same address is allowed once this sandbox has resolved it', async () => {
  await using server = await recorder()
  using world = worldOf(server, { allow: ['*.example'] })
  const early = await world.open('good.example', 443)
  await early.send(await clientHello('also.example'))
  expect(await early.ended).toMatchObject({ failure: { code: 'refused' } })
  await world.resolve('also.example')
  const late = await world.open('good.example', 443)
  await late.send(await clientHello('also.example'))
  expect(await late.readUntil('ok')).toBe('ok')
})

test.each([443, 8443])('plain HTTP to port %i is refused under a rule by name', async (port) => {
  await using server = await recorder()
  using world = worldOf(server, { allow: ['good.example'] })
  const program = await world.open('good.example', port)
  await program.send('GET / HTTP/1.1\r\nHost: good.example\r\n\r\n')
  expect(await program.ended).toMatchObject({ failure: { code: 'refused' } })
  expect(server.got()).toHaveLength(0)
  expect(world.refusals).toEqual([`tls good.example ${ADDRESS} ${port} (not TLS on a TLS port)`])
})

test('a hello longer than 16 KiB, and one cut short, are refused', async () => {
  await using server = await recorder()
  using world = worldOf(server, { allow: ['good.example'] })
  const huge = await world.open('good.example', 443)
  await huge.send(Buffer.concat([Buffer.from([0x16, 3, 1, 0x40, 0, 1, 0, 0x80, 0]), Buffer.alloc(20_000)]))
  expect(await huge.ended).toMatchObject({ failure: { code: 'refused' } })
  const short = await world.open('good.example', 443)
  await short.send((await clientHello('good.example')).subarray(0, 60))
  short.end()
  expect(await short.ended).toMatchObject({ failure: { code: 'refused' } })
  expect(server.got()).toHaveLength(0)
  expect(world.refusals).toEqual(Array(2).fill(`tls good.example ${ADDRESS} 443 (malformed TLS)`))
})

test.each([
  ['a warning', [0x15, 3, 1, 0, 2, 1, 90], 0],
  ['another version', [0x16, 4], 2],
])('a hello behind %s, which some servers do not mind, is refused on any port', async (_, before, skipped) => {
  await using server = await recorder()
  using world = worldOf(server, { allow: ['good.example'] })
  for (const port of [443, 5000]) {
    const program = await world.open('good.example', port)
    await program.send(Buffer.concat([Buffer.from(before), (await clientHello('wrong.example')).subarray(skipped)]))
    expect(await program.ended).toMatchObject({ failure: { code: 'refused' } })
  }
  expect(server.got()).toHaveLength(0)
})

test('the first byte of a record of TLS is held until more comes, and refused when nothing does', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  await using server = await recorder()
  using world = worldOf(server, { allow: ['good.example'] })
  const program = await world.open('good.example', 5000)
  await program.send(Uint8Array.of(0x15))
  await vi.advanceTimersByTimeAsync(60_000)
  expect(await program.ended).toMatchObject({ failure: { code: 'refused' } })
  expect(server.got()).toHaveLength(0)
})

test('TLS on any port is checked, whatever the port is for', async () => {
  await using server = await recorder()
  using world = worldOf(server, { allow: ['good.example'] })
  const program = await world.open('good.example', 5000)
  await program.send(await clientHello('wrong.example'))
  expect(await program.ended).toMatchObject({ failure: { code: 'refused' } })
  const other = await world.open('good.example', 5000)
  await other.send('plain')
  expect(await other.readUntil('ok')).toBe('ok')
  expect(server.got().toString()).toBe('plain')
})

test('a server that speaks first is heard at once on a port that is not for TLS', async () => {
  await using server = await tcpServer((socket) => void socket.write('SSH-2.0-server\r\n'))
  using world = worldOf(server, { allow: ['good.example'] })
  const program = await world.open('good.example', 22)
  expect(await program.readUntil('\n')).toBe('SSH-2.0-server\r\n')
})

test('on a TLS port nothing of the server gets in before the hello is judged', async () => {
  await using server = await tcpServer((socket) => void socket.write('hello you'))
  using world = worldOf(server, { allow: ['good.example'] })
  const program = await world.open('good.example', 443)
  await program.send(await clientHello('wrong.example'))
  await program.ended
  expect(program.written).toBe(0)
})

test('with everything public allowed a silent client on port 443 may wait for the server', async () => {
  await using server = await tcpServer((socket) => void socket.write('hello you'))
  using world = worldOf(server, true)
  const program = await world.open('good.example', 443)
  expect(await program.readUntil('you')).toBe('hello you')
})

test('deny rules hold for server names where everything else is allowed', async () => {
  await using server = await recorder()
  using world = worldOf(server, { deny: ['*.bad.example'] })
  const denied = await world.open('good.example', 443)
  await denied.send(await clientHello('x.bad.example'))
  expect(await denied.ended).toMatchObject({ failure: { code: 'refused' } })
  const other = world.program(ADDRESS, 443)
  await other.send(await clientHello())
  expect(await other.readUntil('ok')).toBe('ok')
})

test('a hello that does not come is not waited for longer than 10 s', async () => {
  await using server = await recorder()
  using world = worldOf(server, { allow: ['good.example'] })
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const silent = await world.open('good.example', 443)
  const slow = await world.open('good.example', 5000)
  await slow.send((await clientHello('good.example')).subarray(0, 40))
  await new Promise((resolve) => setImmediate(resolve))
  await vi.advanceTimersByTimeAsync(9_999)
  expect(world.gateway.metrics().connections).toMatchObject({ open: 2, refused: 0 })
  await vi.advanceTimersByTimeAsync(1)
  expect(await silent.ended).toMatchObject({ failure: { code: 'refused' } })
  expect(await slow.ended).toMatchObject({ failure: { code: 'refused' } })
  expect(server.got()).toHaveLength(0)
})

test('a program that only looks whether a TLS port is open has done nothing wrong', async () => {
  await using server = await recorder()
  using world = worldOf(server, { allow: ['good.example'] })
  const program = await world.open('good.example', 443)
  program.end()
  expect(await program.ended).toEqual({ kind: 'finished' })
  await world.settled()
  expect(world.openSockets).toBe(0)
  expect(world.refusals).toEqual([])
})

test('a few bytes of another protocol that could begin an old hello get through in time', async () => {
  await using server = await recorder()
  using world = worldOf(server, { allow: ['good.example'] })
  const program = await world.open('good.example', 5000)
  await program.send(Uint8Array.of(0xff, 0xfd, 0x01))
  program.end()
  await program.readUntil('ok')
  expect(server.got()).toEqual(Buffer.from([0xff, 0xfd, 0x01]))
})
