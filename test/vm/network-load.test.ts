import { crc32 } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Sandbox, Scheduler } from '../../src/index.ts'
import { tcpServer, type TestServer } from '../network/servers.ts'
import { NetworkWorld } from './network-world.ts'

const world = new NetworkWorld()
const scheduler = new Scheduler({}, world.host)
const GIB = 1024 * 1024 * 1024
const BLOCK = Buffer.alloc(262_144, 'exec-sandbox ')
let echo: TestServer
let flood: TestServer
let deaf: TestServer

beforeAll(async () => {
  echo = await tcpServer((socket) => void socket.pipe(socket))
  flood = await tcpServer((socket) => {
    let left = GIB
    const more = (): void => {
      while (left > 0) {
        left -= BLOCK.byteLength
        if (!socket.write(BLOCK)) return void socket.once('drain', more)
      }
      socket.end()
    }
    more()
  })
  deaf = await tcpServer((socket) => socket.pause())
  world.serve('echo.example', '93.184.216.10', { 7: echo.port })
  world.serve('flood.example', '93.184.216.11', { 80: flood.port })
  world.serve('deaf.example', '93.184.216.12', { 80: deaf.port })
  world.serve('silent.example', '93.184.216.13', {})
  world.silent.add('93.184.216.13:80')
})
afterAll(async () => {
  await scheduler.close()
  for (const server of [echo, flood, deaf]) await server[Symbol.asyncDispose]()
})

async function python(sandbox: Sandbox, code: string, timeoutMs = 100_000): Promise<string> {
  const result = await sandbox.runCode(code, { timeoutMs })
  expect(result).toMatchObject({ stderr: '', exitCode: 0 })
  return result.stdout.trim()
}

const ROUND_TRIP = `
import socket
def round_trip(data=b'ping'):
    with socket.create_connection(('echo.example', 7), timeout=60) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        got = b''
        while piece := s.recv(65536): got += piece
        return got == data
`

describe('E10: load', () => {
  it('E10: 100 connections at once each have their own bytes', async () => {
    await using sandbox = await scheduler.create({ network: true })
    const out = await python(
      sandbox,
      `${ROUND_TRIP}
import asyncio, os
async def one():
    data = os.urandom(20000)
    reader, writer = await asyncio.open_connection('echo.example', 7)
    await barrier.wait()
    writer.write(data)
    writer.write_eof()
    got = await reader.read(-1)
    writer.close()
    return got == data
async def main():
    global barrier
    barrier = asyncio.Barrier(100)
    print(sum(await asyncio.gather(*[one() for _ in range(100)])))
asyncio.run(main())`,
    )
    expect(out).toBe('100')
    expect(sandbox.metrics().network).toMatchObject({
      connections: { opened: 100, refused: 0, failed: 0 },
      bytesSent: 2_000_000,
      bytesReceived: 2_000_000,
    })
  })

  it('E10: a download of 1 GiB arrives whole, and other connections go on beside it', {
    timeout: 600_000,
  }, async () => {
    await using sandbox = await scheduler.create({ network: true })
    const out = await python(
      sandbox,
      `${ROUND_TRIP}
import zlib
s = socket.create_connection(('flood.example', 80), timeout=120)
buffer = memoryview(bytearray(262144))
total, crc, beside = 0, 0, []
while count := s.recv_into(buffer):
    crc = zlib.crc32(buffer[:count], crc)
    if total // (256 << 20) != (total + count) // (256 << 20): beside.append(round_trip())
    total += count
print(total, crc, beside)`,
      580_000,
    )
    expect(out).toBe(`${GIB} ${crcOfFlood()} [True, True, True, True]`)
  })

  it('E10: thousands of short connections leave nothing behind', { timeout: 600_000 }, async () => {
    await using sandbox = await scheduler.create({ network: true })
    const out = await python(sandbox, `${ROUND_TRIP}\nprint(sum(round_trip() for _ in range(2000)))`, 580_000)
    expect(out).toBe('2000')
    await vi.waitFor(() => expect(sandbox.metrics().network.connections.open).toBe(0), { timeout: 20_000 })
    expect(sandbox.metrics().network.connections).toMatchObject({ opened: 2000, refused: 0, failed: 0 })
    await expect.poll(() => echo.sockets.size).toBe(0)
  })
})

describe('a guest that means no good', () => {
  it('opens 10 000 connections that nobody answers, and harms nobody', { timeout: 300_000 }, async () => {
    await using sandbox = await scheduler.create({ network: true })
    await using other = await scheduler.create({ network: true })
    const dialled = world.dialled.length
    const out = await python(
      sandbox,
      `
import errno, socket
socket.gethostbyname('silent.example')
seen = {}
for batch in range(20):
    sockets = []
    for _ in range(500):
        s = socket.socket()
        s.setblocking(False)
        e = s.connect_ex(('93.184.216.13', 80))
        seen[errno.errorcode.get(e, e)] = seen.get(errno.errorcode.get(e, e), 0) + 1
        sockets.append(s)
    for s in sockets: s.close()
print(seen)`,
      250_000,
    )
    expect(out).toContain('EINPROGRESS')
    // No more than 64 are ever begun at once, and each is dropped when the program drops it.
    expect(world.dialled.length - dialled).toBeLessThan(10_000)
    expect(await python(other, `${ROUND_TRIP}\nprint(round_trip())`)).toBe('True')
    // The kernel drops a connection that has not been answered without a word, so it counts until its 30 s are over.
    const again = async (): Promise<void> =>
      expect(await python(sandbox, `${ROUND_TRIP}\nprint(round_trip())`)).toBe('True')
    await vi.waitFor(again, { timeout: 100_000, interval: 1_000 })
    // The guest tells the end of a connection after that of its bytes.
    await expect.poll(() => sandbox.metrics().network.connections).toMatchObject({ open: 0, opened: 1 })
  })

  it('asks for thousands of names, and only some of them leave the sandbox', { timeout: 300_000 }, async () => {
    await using sandbox = await scheduler.create({ network: { allow: ['*.tunnel.example', 'echo.example'] } })
    const asked = world.lookedUp.length
    const out = await python(
      sandbox,
      `${ROUND_TRIP}
from concurrent.futures import ThreadPoolExecutor
def ask(name):
    try: socket.getaddrinfo(name, 80); return 'found'
    except OSError as e: return type(e).__name__
with ThreadPoolExecutor(32) as pool:
    long = list(pool.map(ask, [f'{i:060d}.{"x" * 60}.{"y" * 60}.tunnel.example' for i in range(100)]))
    many = list(pool.map(ask, [f'{i}.tunnel.example' for i in range(500)]))
print(set(long), set(many), round_trip())`,
      250_000,
    )
    expect(out).toBe("{'gaierror'} {'gaierror'} True")
    const names = world.lookedUp.slice(asked)
    expect(names.every((name) => name.length <= 128)).toBe(true)
    const rules = new Set(sandbox.metrics().network.refused.map(({ rule }) => rule))
    expect(rules.has('limit of names') || rules.has('limit of questions')).toBe(true)
  })

  it('never reads, or sends to a server that never reads: both wait, and nobody else', {
    timeout: 300_000,
  }, async () => {
    await using sandbox = await scheduler.create({ network: true })
    const out = await python(
      sandbox,
      `${ROUND_TRIP}
unread = socket.create_connection(('flood.example', 80), timeout=60)
unheard = socket.create_connection(('deaf.example', 80), timeout=60)
unheard.settimeout(2)
sent = 0
try:
    while True: sent += unheard.send(b'x' * 65536)
except TimeoutError: pass
print(sent < 64 << 20, round_trip(b'y' * 100000))`,
      250_000,
    )
    expect(out).toBe('True True')
    expect(sandbox.metrics().network.bytesReceived).toBeLessThan(64 * 1024 * 1024)
    await expect.poll(() => sandbox.metrics().network.connections.open).toBe(2)
  })
})

function crcOfFlood(): number {
  let crc = 0
  for (let block = 0; block < GIB / BLOCK.byteLength; block += 1) crc = crc32(BLOCK, crc)
  return crc
}
