import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { expect, test } from 'vitest'
import { Authority } from '../../test/network/certificates.ts'
import type { GuestProgram } from '../../test/network/guest-program.ts'
import { programStream } from '../../test/network/program-stream.ts'
import { closedPort, httpServer, tcpServer, tlsServer } from '../../test/network/servers.ts'
import { TestGateway } from '../../test/network/test-gateway.ts'
import { createLogger } from '../base/index.ts'
import { openHostNetwork } from './host-network.ts'

const ECHO = (socket: Duplex): void => void socket.pipe(socket)
const PUBLIC = '93.184.216.34'

test('a program talks to an allowed name over HTTP', async () => {
  await using server = await httpServer((request, response) =>
    response.end(`${request.method} ${request.headers.host}`),
  )
  using world = new TestGateway({
    network: { allow: ['example.com'] },
    names: { 'example.com': [PUBLIC] },
    routes: { [`${PUBLIC}:80`]: server.port },
  })
  const program = await world.open('example.com', 80)
  await program.send('GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n')
  expect(await program.readAll()).toMatch(/^HTTP\/1\.1 200 OK[^]*GET example\.com$/)
  program.end()
  expect(await program.ended).toEqual({ kind: 'finished' })
  await world.settled()
  const { connections, bytesSent, bytesReceived } = world.gateway.metrics()
  expect(connections).toEqual({ open: 0, opened: 1, refused: 0, failed: 0 })
  expect(bytesSent).toBe('GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n'.length)
  expect(bytesReceived).toBe(program.written)
  expect(world.openSockets).toBe(0)
})

test('names that no rule allows are refused and the host is not asked for them', async () => {
  using world = new TestGateway({ network: { allow: ['example.com'] }, names: { 'other.example': [PUBLIC] } })
  expect((await world.resolve('other.example')).status).toBe('refused')
  expect((await world.resolve('other.example', 'AAAA')).status).toBe('refused')
  expect((await world.resolve('no name at all')).status).toBe('refused')
  expect(world.lookedUp).toEqual([])
  expect(world.gateway.metrics().dns).toEqual({ asked: 3, refused: 3, failed: 0 })
  expect(world.refusals).toEqual([
    'dns other.example (not allowed by any rule)',
    'dns other.example (not allowed by any rule)',
    'dns no name at all (malformed)',
  ])
  expect(world.debugLog.filter((line) => line.includes('rule="not allowed by any rule"'))).toHaveLength(2)
})

test('an allowed name without the family asked for, and one that does not exist', async () => {
  using world = new TestGateway({
    network: { allow: ['example.com', 'gone.example'] },
    names: { 'example.com': [PUBLIC] },
  })
  expect(await world.resolve('EXAMPLE.com.', 'A')).toEqual({ status: 'ok', addresses: [PUBLIC], ttlS: 60 })
  expect((await world.resolve('example.com', 'AAAA')).status).toBe('no-data')
  expect((await world.resolve('gone.example')).status).toBe('no-name')
})

test('an address that no allowed name gave to this sandbox is refused, whoever has it', async () => {
  await using server = await tcpServer(ECHO)
  using world = new TestGateway({
    network: { allow: ['example.com'] },
    names: { 'example.com': [PUBLIC] },
    routes: { ':80': server.port },
  })
  const before = world.program(PUBLIC, 80)
  expect(await before.ended).toMatchObject({ kind: 'failed', failure: { code: 'refused' } })
  expect(world.dialled).toEqual([])
  await world.resolve('example.com')
  await world.program(PUBLIC, 80).connected
  const other = world.program('93.184.216.35', 80)
  expect(await other.ended).toMatchObject({ failure: { code: 'refused' } })
  expect(world.refusals.at(-1)).toBe('connect 93.184.216.35 80 (not allowed by any rule)')
  expect(world.gateway.metrics().connections).toMatchObject({ opened: 1, refused: 2, failed: 0 })
})

test.each([
  ['127.0.0.1', 'loopback'],
  ['10.1.2.3', 'private'],
  ['169.254.169.254', 'metadata'],
  ['::1', 'loopback'],
  ['::ffff:192.168.1.1', 'private'],
])('a name that leads to %s is refused: rebinding', async (address) => {
  using world = new TestGateway({ network: true, names: { 'evil.example': [address] } })
  expect((await world.resolve('evil.example')).status).toBe('refused')
  expect(world.refusals).toHaveLength(1)
  expect(world.gateway.metrics().refused[0]).toMatchObject({ kind: 'dns', name: 'evil.example' })
})

test('a name that moves to a private address later is refused then', async () => {
  const names: Record<string, readonly string[]> = { 'evil.example': [PUBLIC, '192.168.0.1'] }
  using world = new TestGateway({ network: true, names })
  expect((await world.resolve('evil.example')).addresses).toEqual([PUBLIC])
  expect(await world.program('192.168.0.1', 80).ended).toMatchObject({ failure: { code: 'refused' } })
  expect(world.dialled).toEqual([])
})

test('the host itself is reached by its own name alone, through a stand-in', async () => {
  await using server = await tcpServer(ECHO)
  using world = new TestGateway({
    network: { allow: ['host.exec-sandbox.internal:8080'] },
    routes: { '127.0.0.1:8080': server.port },
  })
  const program = await world.open('host.exec-sandbox.internal', 8080)
  await program.send('ping')
  expect(await program.readUntil('ping')).toBe('ping')
  expect(program.connection.address).toMatch(/^198\.1[89]\./)
  expect(await world.program(program.connection.address, 8081).ended).toMatchObject({ failure: { code: 'refused' } })
  expect(await world.program('127.0.0.1', 8080).ended).toMatchObject({ failure: { code: 'refused' } })
  expect(world.lookedUp).toEqual([])
})

test('a name with IPv6 addresses alone is reached by a stand-in', async () => {
  await using server = await tcpServer(ECHO)
  using world = new TestGateway({
    network: true,
    names: { 'six.example': ['2606:2800:220:1::1'] },
    routes: { '2606:2800:220:1::1:80': server.port },
  })
  const program = await world.open('six.example', 80)
  await program.send('ping')
  expect(await program.readUntil('ping')).toBe('ping')
  expect(world.dialled).toEqual(['2606:2800:220:1::1:80'])
})

test('a server that refuses is told as that', async () => {
  const port = await closedPort()
  using world = new TestGateway({ network: true, routes: { ':80': port } })
  expect(await world.program(PUBLIC, 80).ended).toMatchObject({ failure: { code: 'connection-refused' } })
  expect(world.gateway.metrics().connections).toEqual({ open: 0, opened: 0, refused: 0, failed: 1 })
  expect(world.refusals).toEqual([])
})

test('more than 512 connections are refused as busy, and ended ones make room', async () => {
  await using server = await tcpServer(ECHO)
  using world = new TestGateway({ network: true, routes: { ':80': server.port } })
  const programs: GuestProgram[] = []
  for (let count = 0; count < 512; count += 1) programs.push(world.program(PUBLIC, 80))
  expect(await world.program(PUBLIC, 80).ended).toMatchObject({ failure: { code: 'busy' } })
  await Promise.all(programs.map(async (program) => await program.connected))
  expect(world.gateway.metrics().connections.open).toBe(512)
  expect(world.refusals).toEqual([`connect ${PUBLIC} 80 (limit of connections)`])
  programs[0]?.reset()
  await programs[0]?.ended
  await expect.poll(() => world.gateway.metrics().connections.open).toBe(511)
  await world.program(PUBLIC, 80).connected
})

test('close() resets what is open and refuses what comes', async () => {
  await using server = await tcpServer(ECHO)
  using world = new TestGateway({ network: true, routes: { ':80': server.port } })
  const program = world.program(PUBLIC, 80)
  await program.connected
  world.gateway.close()
  expect(await program.ended).toMatchObject({ failure: { code: 'reset' } })
  await world.settled()
  expect(world.openSockets).toBe(0)
  expect(await world.program(PUBLIC, 80).ended).toMatchObject({ failure: { code: 'refused' } })
  world.gateway.close()
})

test('TLS goes through to an allowed name', async () => {
  const authority = new Authority()
  await using server = await tlsServer(authority.issue({ commonName: 'x', names: ['example.com'] }), ECHO)
  using world = new TestGateway({
    network: { allow: ['example.com:443'] },
    names: { 'example.com': [PUBLIC] },
    routes: { ':443': server.port },
  })
  const program = await world.open('example.com', 443)
  const tls = connectTls({ socket: programStream(program), servername: 'example.com', ca: authority.certificate.cert })
  tls.write('ping')
  expect(await new Promise((resolve) => tls.once('data', (chunk: Buffer) => resolve(chunk.toString())))).toBe('ping')
  tls.destroy()
})

test('public addresses of the host are reached by rules of addresses alone', async () => {
  await using server = await tcpServer((socket) => void socket.end('served'))
  using world = new TestGateway({
    network: true,
    names: { 'host.example': [PUBLIC], 'other.example': ['93.184.216.35'] },
    routes: { ':80': server.port },
    host: { ownAddresses: () => new Set([PUBLIC]) },
  })
  const refused = { kind: 'failed', failure: { code: 'refused' } }
  expect(await world.program(PUBLIC, 80).ended).toMatchObject(refused)
  const [address = ''] = (await world.resolve('host.example')).addresses
  expect(await world.program(address, 80).ended).toMatchObject(refused)
  expect(world.dialled).toEqual([])
  const rule = '(address of the host)'
  expect(world.refusals).toEqual([`connect ${PUBLIC} 80 ${rule}`, `connect host.example ${PUBLIC} 80 ${rule}`])
  const other = await world.open('other.example', 80)
  expect(await other.readAll()).toBe('served')
  expect(world.dialled).toEqual(['93.184.216.35:80'])
  world.setNetwork({ allow: [PUBLIC, '*'] })
  expect(await world.program(PUBLIC, 80).readAll()).toBe('served')
})

test('the addresses of this host are known', () => {
  expect(openHostNetwork(createLogger('silent')).ownAddresses()).toContain('127.0.0.1')
})
