import { Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test, vi } from 'vitest'
import { tcpServer } from '../../test/network/servers.ts'
import { TestGateway } from '../../test/network/test-gateway.ts'

/** What the heap holds when all that is garbage has gone. */
function liveHeapBytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}

const ADDRESS = '93.184.216.34'

test('10 000 short connections leave nothing behind', async () => {
  const onSocket = (socket: Socket): void => void socket.once('data', (chunk) => socket.end(chunk))
  await using server = await tcpServer(onSocket)
  using world = new TestGateway({ network: true, names: { 'a.example': [ADDRESS] }, routes: { ':80': server.port } })
  const short = async (index: number): Promise<void> => {
    const program = await world.open('a.example', 80)
    await program.send(`${index}`)
    if (index % 10 === 9) program.reset()
    else {
      expect(await program.readAll()).toBe(`${index}`)
      program.end()
    }
    await program.ended
  }
  const batch = async (from: number): Promise<void> => {
    for (let index = from; index < from + 2_500; index += 25) {
      await Promise.all(Array.from({ length: 25 }, async (_, offset) => await short(index + offset)))
    }
    await world.settled()
  }
  const handles = process.getActiveResourcesInfo().length
  await batch(0)
  const before = liveHeapBytes()
  for (const from of [2_500, 5_000, 7_500]) await batch(from)
  await vi.waitFor(() => expect(server.sockets.size).toBe(0))
  expect(world.openSockets).toBe(0)
  expect(world.gateway.metrics().connections).toEqual({ open: 0, opened: 10_000, refused: 0, failed: 0 })
  await vi.waitFor(() => expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(handles + 2))
  // A kilobyte of each of the 7 500 would be 7.5 MB.
  expect(liveHeapBytes() - before).toBeLessThan(4 * 1024 * 1024)
}, 120_000)

test('names are no tunnel: long ones, deep ones and many of them are refused under a wildcard', async () => {
  using world = new TestGateway({
    network: { allow: ['*.evil.example', `${'x'.repeat(60)}.${'y'.repeat(60)}.named.example`] },
  })
  const label = 'd'.repeat(60)
  expect((await world.resolve(`${label}.${label}.${label}.evil.example`)).status).toBe('refused')
  expect((await world.resolve(`${'a.'.repeat(30)}evil.example`)).status).toBe('refused')
  expect(world.lookedUp).toEqual([])
  expect((await world.resolve(`${'x'.repeat(60)}.${'y'.repeat(60)}.named.example`)).status).toBe('no-name')
  const many = await Promise.all(
    Array.from({ length: 500 }, async (_, index) => (await world.resolve(`${index}.evil.example`)).status),
  )
  expect(world.lookedUp.length).toBeLessThan(200)
  expect(many.filter((status) => status === 'failed').length).toBeGreaterThan(300)
  const rules = new Set(world.gateway.metrics().refused.map(({ rule }) => rule))
  expect([...rules]).toContain('limit of questions')
  expect(world.gateway.metrics().refused).toHaveLength(256)
  expect(world.debugLog.some((line) => line.includes('limit of names') && line.includes('labels'))).toBe(true)
})

test('names that are no names never reach the host', async () => {
  using world = new TestGateway({ network: true })
  const hostile = [
    '',
    '.',
    '..',
    'a..b',
    '-a.example',
    'a b',
    'a\0b',
    '127.0.0.1',
    '0x7f.1',
    '[::1]',
    'a'.repeat(10_000),
    '__proto__/',
  ]
  for (const name of hostile) expect((await world.resolve(name)).status).toBe('refused')
  expect(world.lookedUp).toEqual([])
  expect(world.gateway.metrics().refused.every(({ name }) => (name?.length ?? 0) <= 300)).toBe(true)
  expect(world.debugLog.every((line) => line.length < 2_000)).toBe(true)
})

test('every address of the host is refused', async () => {
  using world = new TestGateway({ network: true })
  const addresses = [
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '240.0.0.1',
  ]
  for (const address of addresses) {
    expect(await world.program(address, 80).ended).toMatchObject({ kind: 'failed', failure: { code: 'refused' } })
  }
  expect(world.dialled).toEqual([])
  expect(world.refusals).toHaveLength(addresses.length)
})

test('thousands of connections that nobody finishes opening hold 64 sockets', async () => {
  let begun = 0
  await using server = await tcpServer(() => undefined)
  using world = new TestGateway({ network: true, routes: { ':80': server.port } })
  using silent = new TestGateway({ network: true, host: { connect: () => ((begun += 1), new Socket()) } })
  const programs = Array.from({ length: 10_000 }, () => silent.program(ADDRESS, 80))
  // Another sandbox is not held up by them.
  await world.program(ADDRESS, 80).connected
  expect(begun).toBe(64)
  for (const program of programs) program.reset()
  await silent.settled()
  expect(begun).toBe(64)
  expect(silent.gateway.metrics().connections).toMatchObject({ open: 0, opened: 0 })
})

test('a place that was given up can be taken at once', async () => {
  await using server = await tcpServer(() => undefined)
  using world = new TestGateway({ network: true, routes: { ':80': server.port } })
  const programs = Array.from({ length: 512 }, () => world.program(ADDRESS, 80))
  await Promise.all(programs.map(async ({ connected }) => await connected))
  expect(await world.program(ADDRESS, 80).ended).toMatchObject({ failure: { code: 'busy' } })
  programs[0]?.reset()
  const next = world.program(ADDRESS, 80)
  await next.connected
  for (const program of [...programs, next]) program.reset()
  await world.settled()
})
