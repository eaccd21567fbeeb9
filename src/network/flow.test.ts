import { createHash, randomBytes } from 'node:crypto'
import { connect as connectTcp, Socket } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { clientHello } from '../../test/network/client-hello.ts'
import { tcpServer, type TestServer } from '../../test/network/servers.ts'
import { TestGateway } from '../../test/network/test-gateway.ts'

const ADDRESS = '93.184.216.34'
const ECHO = (socket: Socket): void => void socket.pipe(socket)

afterEach(() => {
  vi.useRealTimers()
})

function worldOf(
  server: TestServer,
  network: ConstructorParameters<typeof TestGateway>[0]['network'] = true,
): TestGateway {
  return new TestGateway({
    network,
    names: { 'good.example': [ADDRESS], 'other.example': ['93.184.216.35'] },
    routes: { ':80': server.port, ':443': server.port },
  })
}

test('half-close by the program: the server answers afterwards', async () => {
  await using server = await tcpServer((socket) => {
    let text = ''
    socket.on('data', (chunk) => (text += chunk.toString()))
    socket.on('end', () => socket.end(`got ${text}`))
  })
  using world = worldOf(server)
  const program = world.program(ADDRESS, 80)
  await program.connected
  await program.send('all of it')
  program.end()
  expect(await program.readAll()).toBe('got all of it')
  expect(await program.ended).toEqual({ kind: 'finished' })
})

test('half-close by the server: the program goes on sending', async () => {
  let got = ''
  let onEnd: () => void = () => undefined
  const ended = new Promise<void>((resolve) => (onEnd = resolve))
  await using server = await tcpServer((socket) => {
    socket.end('bye')
    socket.on('data', (chunk) => (got += chunk.toString()))
    socket.on('end', onEnd)
  })
  using world = worldOf(server)
  const program = world.program(ADDRESS, 80)
  expect(await program.readAll()).toBe('bye')
  await program.send('still ')
  await program.send('here')
  program.end()
  await ended
  expect(got).toBe('still here')
  expect(await program.ended).toEqual({ kind: 'finished' })
})

test('a reset by the server is a reset for the program', async () => {
  await using server = await tcpServer((socket) => socket.once('data', () => socket.resetAndDestroy()))
  using world = worldOf(server)
  const program = world.program(ADDRESS, 80)
  await program.connected
  await program.send('x')
  expect(await program.ended).toMatchObject({ kind: 'failed', failure: { code: 'reset' } })
  await world.settled()
  expect(world.openSockets).toBe(0)
})

test('a reset by the program is a reset for the server', async () => {
  const errors: Promise<Error>[] = []
  await using server = await tcpServer((socket) => {
    socket.write('x')
    socket.resume()
    errors.push(new Promise((resolve) => socket.once('error', resolve)))
  })
  using world = worldOf(server)
  const program = world.program(ADDRESS, 80)
  await program.read()
  program.reset()
  await world.settled()
  expect(await errors[0]).toMatchObject({ code: 'ECONNRESET' })
  expect(world.openSockets).toBe(0)
})

test('a program that gives up while its connection is opened leaves no socket', async () => {
  await using server = await tcpServer(ECHO)
  using world = worldOf(server)
  const program = world.program(ADDRESS, 80)
  program.reset()
  expect(await program.ended).toMatchObject({ failure: { code: 'reset' } })
  await world.settled()
  expect(world.openSockets).toBe(0)
  await expect.poll(() => server.sockets.size).toBe(0)
})

test('100 connections at once, each gets its own bytes back', async () => {
  await using server = await tcpServer(ECHO)
  using world = worldOf(server)
  await Promise.all(
    Array.from({ length: 100 }, async () => {
      const payload = randomBytes(20_000).toString('hex')
      const program = world.program(ADDRESS, 80)
      await program.connected
      await program.send(payload)
      program.end()
      expect(await program.readAll()).toBe(payload)
      expect(await program.ended).toEqual({ kind: 'finished' })
    }),
  )
  await world.settled()
  expect(world.gateway.metrics()).toMatchObject({
    connections: { open: 0, opened: 100, refused: 0, failed: 0 },
    bytesSent: 4_000_000,
    bytesReceived: 4_000_000,
  })
})

test('64 MiB each way at once arrive whole while both sides are slow in turns', async () => {
  const size = 64 * 1024 * 1024
  const block = randomBytes(1024 * 1024)
  const digestOf = (): string => {
    const hash = createHash('sha256')
    for (let sent = 0; sent < size; sent += block.byteLength) hash.update(block)
    return hash.digest('hex')
  }
  let onUpload: (digest: string) => void = () => undefined
  const uploaded = new Promise<string>((resolve) => (onUpload = resolve))
  await using server = await tcpServer((socket) => {
    const hash = createHash('sha256')
    socket.on('data', (chunk) => hash.update(chunk))
    socket.on('end', () => onUpload(hash.digest('hex')))
    let left = size
    const more = (): void => {
      while (left > 0) {
        left -= block.byteLength
        if (!socket.write(block)) return void socket.once('drain', more)
      }
      socket.end()
    }
    more()
  })
  using world = worldOf(server)
  const program = world.program(ADDRESS, 80)
  await program.connected
  const upload = async (): Promise<void> => {
    for (let sent = 0; sent < size; sent += 65_536) {
      await program.send(block.subarray(sent % block.byteLength, (sent % block.byteLength) + 65_536))
    }
    program.end()
  }
  const download = async (): Promise<string> => {
    const hash = createHash('sha256')
    for (let chunk = await program.read(); chunk !== undefined; chunk = await program.read()) {
      hash.update(chunk)
      if (chunk.byteLength % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    return hash.digest('hex')
  }
  const [, downDigest] = await Promise.all([upload(), download()])
  expect(await program.ended).toEqual({ kind: 'finished' })
  expect(downDigest).toBe(digestOf())
  expect(await uploaded).toBe(digestOf())
  expect(world.gateway.metrics()).toMatchObject({ bytesSent: size, bytesReceived: size })
})

test('a program that never reads makes the server wait, and others go on', async () => {
  let written = 0
  const chunk = Buffer.alloc(65_536)
  await using server = await tcpServer((socket) => {
    socket.once('data', (first) => {
      const isEcho = first.toString() === 'echo'
      const more = (): void => {
        do written += chunk.byteLength
        while (socket.write(chunk))
        socket.once('drain', more)
      }
      if (isEcho) socket.write(first)
      else more()
    })
  })
  using world = worldOf(server)
  const deaf = world.program(ADDRESS, 80)
  await deaf.connected
  await deaf.send('flood')
  await expect.poll(() => deaf.written).toBeGreaterThan(200_000)
  // Nothing moves any more when a whole round trip of another connection has not moved it.
  let before = -1
  while (before !== written) {
    before = written
    const other = world.program(ADDRESS, 80)
    await other.connected
    await other.send('echo')
    expect(await other.readUntil('echo')).toBe('echo')
    other.reset()
    await other.ended
  }
  expect(deaf.mostHeld).toBeLessThanOrEqual(262_144 + 65_536)
  deaf.reset()
  await world.settled()
  expect(world.openSockets).toBe(0)
})

test('a server that never reads makes the program wait', async () => {
  await using server = await tcpServer((socket) => socket.pause())
  using world = worldOf(server)
  const program = world.program(ADDRESS, 80)
  await program.connected
  let accepted = 0
  const flood = async (): Promise<void> => {
    while (await program.send(Buffer.alloc(65_536))) accepted += 65_536
  }
  const flooding = flood()
  let before = -1
  while (before !== accepted) {
    before = accepted
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  }
  // The window of the guest, two buffers of sockets in this process, and what the kernel keeps for the loopback.
  expect(accepted).toBeLessThan(32 * 1024 * 1024)
  program.reset()
  await flooding
  await world.settled()
  expect(world.openSockets).toBe(0)
})

test('a new policy resets what it does not allow, at once and in the middle of a transfer', async () => {
  await using server = await tcpServer(ECHO)
  using world = worldOf(server, { allow: ['good.example', 'other.example'] })
  const good = await world.open('good.example', 80)
  const other = await world.open('other.example', 80)
  const flood = async (): Promise<void> => {
    while (await other.send(Buffer.alloc(65_536))) await other.read().catch(() => undefined)
  }
  const flooding = flood()
  await expect.poll(() => world.gateway.metrics().bytesReceived).toBeGreaterThan(1_000_000)
  world.setNetwork({ allow: ['good.example'] })
  expect(await other.ended).toMatchObject({
    failure: { code: 'refused' },
  })
  await flooding
  expect(world.refusals).toEqual(['connect other.example 93.184.216.35 80 (not allowed by any rule)'])
  await good.send('ping')
  expect(await good.readUntil('ping')).toBe('ping')
  expect(await world.program('93.184.216.35', 80).ended).toMatchObject({ failure: { code: 'refused' } })
  expect(world.gateway.metrics().connections).toMatchObject({ open: 1, opened: 2, refused: 2 })
  world.setNetwork(false)
  expect(await good.ended).toMatchObject({ failure: { code: 'refused' } })
  expect((await world.resolve('good.example')).status).toBe('refused')
})

test('a new policy is asked about the server name of an open connection, too', async () => {
  await using server = await tcpServer(ECHO)
  using world = worldOf(server, true)
  const named = await world.open('good.example', 443)
  const unnamed = await world.open('good.example', 443)
  const plain = await world.open('good.example', 443)
  await named.send(await clientHello('good.example'))
  await unnamed.send(await clientHello())
  await plain.send('plain')
  await Promise.all([named.read(), unnamed.read(), plain.read()])
  world.setNetwork({ allow: ['good.example'] })
  expect(await unnamed.ended).toMatchObject({ failure: { code: 'refused' } })
  expect(await plain.ended).toMatchObject({ failure: { code: 'refused' } })
  await named.send('more')
  await named.readUntil('more')
})

test('addresses resolved under one policy are judged by the next', async () => {
  await using server = await tcpServer(ECHO)
  using world = worldOf(server, { allow: ['good.example:443'] })
  await world.resolve('good.example')
  expect(await world.program(ADDRESS, 80).ended).toMatchObject({ failure: { code: 'refused' } })
  world.setNetwork({ allow: ['good.example:80'] })
  await world.program(ADDRESS, 80).connected
})

test('a connection that does not come about within 30 s is given up', async () => {
  using world = new TestGateway({
    network: true,
    // A socket that is never told to connect: as silent as an address that drops everything.
    host: { connect: () => new Socket() },
  })
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const programs = Array.from({ length: 70 }, () => world.program(ADDRESS, 80))
  await vi.advanceTimersByTimeAsync(30_000)
  for (const program of programs) expect(await program.ended).toMatchObject({ failure: { code: 'timed-out' } })
  await world.settled()
  expect(world.gateway.metrics().connections).toEqual({ open: 0, opened: 0, refused: 0, failed: 70 })
})

test('a connection of which one side has ended is over when nothing comes any more, an open one is not', async () => {
  await using server = await tcpServer((socket) => void socket.resume())
  using world = new TestGateway({ network: true, routes: { ':80': server.port }, halfOpenIdleMs: 50 })
  const open = world.program(ADDRESS, 80)
  await open.connected
  const halfOpen = world.program(ADDRESS, 80)
  await halfOpen.connected
  halfOpen.end()
  expect(await halfOpen.ended).toMatchObject({ failure: { code: 'timed-out' } })
  await vi.waitFor(() => expect(world.gateway.metrics().connections.open).toBe(1))
})

test('a new policy narrows the addresses of a connection that waits to be opened', async () => {
  await using server = await tcpServer(ECHO)
  const names = { 'two.example': ['2606:2800:220:1::1', '2606:2800:220:1::2'] }
  const blocked: Socket[] = []
  const routes = { '2606:2800:220:1::2:80': server.port }
  using world = new TestGateway({
    network: true,
    names,
    routes,
    host: {
      connect: (address, port) => {
        if (blocked.length === 64) return connectTcp({ host: '127.0.0.1', port: routes[`${address}:${port}` as never] })
        const socket = new Socket()
        blocked.push(socket)
        return socket
      },
    },
  })
  const {
    addresses: [standIn = ''],
  } = await world.resolve('two.example')
  const first = Array.from({ length: 64 }, (_, index) => world.program(`93.184.216.${index}`, 80))
  const waiting = world.program(standIn, 80)
  world.setNetwork({ allow: ['*'], deny: ['2606:2800:220:1::1'] })
  for (const program of first) program.reset()
  await waiting.connected
  expect(blocked).toHaveLength(64)
})
