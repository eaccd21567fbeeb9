import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { Scheduler } from '../../src/index.ts'
import { dial, endOf, isFree, occupiedPort, readAll, sendMany, serve } from './port-clients.ts'

const scheduler = new Scheduler()
afterAll(async () => await scheduler.close())

/** Many windows of the channel and of any socket buffer. */
const MANY_BYTES = 24_000_000

/** Answers each connection, when it has sent its end, with how much it was and its SHA-256. */
const DIGEST_SERVER = `
import hashlib, socketserver
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        digest, count = hashlib.sha256(), 0
        while data := self.request.recv(65536):
            digest.update(data)
            count += len(data)
        self.request.sendall(f'{count} {digest.hexdigest()}'.encode())
class Server(socketserver.ThreadingTCPServer):
    request_queue_size = 64
    daemon_threads = True
server = Server(('127.0.0.1', 8000), Handler)
print('listening')
server.serve_forever()
`

/** Sends its bytes to each connection, ends that direction, and prints what it then still gets. */
const SPEAKS_FIRST = `
import socket
server = socket.create_server(('127.0.0.1', 8000))
print('listening')
while True:
    connection, _ = server.accept()
    block = bytes(range(256)) * 256
    for index in range(${MANY_BYTES} // 65536):
        connection.sendall(block)
    connection.shutdown(socket.SHUT_WR)
    rest = b''
    while data := connection.recv(65536):
        rest += data
    print('then', rest.decode())
    connection.close()
`

describe('a port of the guest on this host', () => {
  it('E07: carries HTTP, without network, from before the server was there', async () => {
    await using sandbox = await scheduler.create({ ports: [8000] })
    const [port] = sandbox.ports.list()
    expect(port).toEqual({ guest: 8000, host: expect.any(Number), url: `http://127.0.0.1:${port?.host}` })
    const url = port?.url ?? ''
    // Nothing listens there yet: the connection is reset at once, and the sandbox is none the worse.
    // Not by fetch, which in Node 20 can miss a connection that ends the moment it stands.
    expect(await endOf(connect(port?.host ?? 0, '127.0.0.1'))).toBe('ECONNRESET')
    await sandbox.files.write('index.html', 'from the guest')
    await serve(
      sandbox,
      "from http.server import *\ns = ThreadingHTTPServer(('127.0.0.1', 8000), SimpleHTTPRequestHandler)\nprint('on')\ns.serve_forever()",
    )
    const response = await fetch(`${url}/index.html`)
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('from the guest')
    const { connections } = sandbox.metrics().ports
    expect(connections).toMatchObject({ opened: 1, refused: 1 })
  })

  it('E07: carries WebSockets, with network', async () => {
    await using sandbox = await scheduler.create({ language: 'javascript', network: true })
    const { host } = await sandbox.ports.expose(3000)
    await sandbox.runCode(`
      globalThis.server = Bun.serve({
        port: 3000,
        hostname: '127.0.0.1',
        fetch: (request, server) => server.upgrade(request) ? undefined : new Response('no'),
        websocket: { message: (socket, message) => { socket.send(message) } },
      })`)
    const socket = new WebSocket(`ws://127.0.0.1:${host}/`)
    await once(socket, 'open')
    for (const sent of ['text €', Buffer.alloc(300_000, 7)]) {
      socket.send(sent)
      const [heard] = (await once(socket, 'message')) as [Buffer]
      expect(heard.equals(Buffer.from(sent as string))).toBe(true)
    }
    socket.close()
    const [code] = (await once(socket, 'close')) as [number]
    expect(code).toBe(1005)
  })

  it('E07: carries any bytes of many clients at once, and their half-close before the answer', async () => {
    await using sandbox = await scheduler.create()
    const { host } = await sandbox.ports.expose({ guest: 8000 })
    await serve(sandbox, DIGEST_SERVER)
    const sizes = [0, 1, 65_537, MANY_BYTES, 1_000_003]
    await Promise.all(
      sizes.map(async (size) => {
        const socket = await dial(host)
        const digest = await sendMany(socket, size)
        socket.end()
        expect((await readAll(socket)).toString()).toBe(`${size} ${digest}`)
      }),
    )
    const { ports } = sandbox.metrics()
    expect(ports.bytesReceived).toBe(sizes.reduce((sum, size) => sum + size))
    // The guest tells the end of a connection after that of its bytes.
    await expect.poll(() => sandbox.metrics().ports.connections).toEqual({ open: 0, opened: sizes.length, refused: 0 })
  })

  it('E07: carries what a server sends first, and what a client sends after its end', async () => {
    await using sandbox = await scheduler.create()
    const { host } = await sandbox.ports.expose(8000)
    const server = await serve(sandbox, SPEAKS_FIRST)
    const socket = await dial(host)
    const bytes = await readAll(socket)
    const block = Buffer.from(Array.from({ length: 65_536 }, (_, index) => index % 256))
    const expected = createHash('sha256')
    for (let index = 0; index < Math.floor(MANY_BYTES / 65_536); index += 1) expected.update(block)
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(expected.digest('hex'))
    socket.end('good bye')
    let said = ''
    for await (const { data } of server.output) {
      said += data
      if (said.endsWith('bye\n')) break
    }
    expect(said).toContain('then good bye')
  })

  it('E07: slows the server down when the client does not read, and nothing else', async () => {
    await using sandbox = await scheduler.create()
    const { host } = await sandbox.ports.expose(8000)
    await sandbox.runCode(`
import socket, threading
sent = 0
server = socket.create_server(('127.0.0.1', 8000))
def serve():
    global sent
    connection, _ = server.accept()
    for _ in range(${MANY_BYTES} // 65536):
        connection.sendall(bytes(65536))
        sent += 65536
    connection.close()
threading.Thread(target=serve, daemon=True).start()`)
    const socket = await dial(host)
    const sent = async (): Promise<number> =>
      Number((await sandbox.runCode('import time; time.sleep(0.2); print(sent)')).stdout)
    let before = -1
    // At first none of it may be under way.
    for (let now = await sent(); now === 0 || now !== before; now = await sent()) before = now
    // It waits, with the buffers on the way full: windows, sockets of both sides, no more.
    expect(before).toBeGreaterThan(0)
    expect(before).toBeLessThan(MANY_BYTES / 2)
    expect((await readAll(socket)).byteLength).toBe(Math.floor(MANY_BYTES / 65_536) * 65_536)
  })

  it('leads to ::1 where nothing listens on 127.0.0.1, and to a server of all addresses', async () => {
    await using sandbox = await scheduler.create({ ports: [8000, 8001] })
    await sandbox.runCode(`
import socket, threading
servers = [socket.create_server(('::1', 8000), family=socket.AF_INET6), socket.create_server(('', 8001))]
def answer(server):
    connection, peer = server.accept()
    connection.sendall(peer[0].encode())
    connection.close()
for server in servers:
    threading.Thread(target=answer, args=(server,), daemon=True).start()`)
    const answers = sandbox.ports.list().map(async ({ host }) => {
      const socket = await dial(host)
      const answer = await readAll(socket)
      socket.end()
      return String(answer)
    })
    expect(await Promise.all(answers)).toEqual(['::1', '127.0.0.1'])
  })

  it('tells a client that its server reset the connection, and a server that its client did', async () => {
    await using sandbox = await scheduler.create()
    const { host } = await sandbox.ports.expose(8000)
    await sandbox.runCode(`
import socket, struct
server = socket.create_server(('127.0.0.1', 8000))`)
    const first = await dial(host)
    const firstEnd = endOf(first)
    await sandbox.runCode(`
connection, _ = server.accept()
connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
connection.close()`)
    expect(await firstEnd).toBe('ECONNRESET')
    const second = await dial(host)
    second.write('x')
    await sandbox.runCode('connection, _ = server.accept(); connection.recv(1)')
    second.resetAndDestroy()
    const { error } = await sandbox.runCode('connection.recv(1)')
    expect(error?.name).toBe('ConnectionResetError')
  })

  it('E07: is one of at most 50, which all work', async () => {
    const guests = Array.from({ length: 50 }, (_, index) => 9_000 + index)
    await using sandbox = await scheduler.create({ ports: guests })
    await serve(
      sandbox,
      `
import asyncio
async def main():
    def handler(port):
        async def handle(reader, writer):
            writer.write(str(port).encode())
            writer.close()
        return handle
    for port in range(9000, 9050):
        await asyncio.start_server(handler(port), '127.0.0.1', port)
    print('listening')
    await asyncio.Event().wait()
asyncio.run(main())`,
    )
    const answers = await Promise.all(
      sandbox.ports.list().map(async ({ host }) => {
        const socket = await dial(host)
        const answer = Number((await readAll(socket)).toString())
        socket.end()
        return answer
      }),
    )
    expect(answers).toEqual(guests)
    await expect(sandbox.ports.expose(80)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(await sandbox.ports.unexpose(9_000)).toBe(true)
    expect(await sandbox.ports.unexpose(9_000)).toBe(false)
    expect(await sandbox.ports.expose(80)).toMatchObject({ guest: 80 })
  })

  it('that is in use on the host is refused by name: before there is a VM, and later without harm', async () => {
    await using taken = await occupiedPort()
    const message = expect.stringMatching(new RegExp(`ports\\[1\\]: .*${taken.port}, which is in use`))
    const before = scheduler.stats().templates?.restores
    const create = scheduler.create({ ports: [8000, { guest: 8001, host: taken.port }] })
    await expect(create).rejects.toMatchObject({ code: 'INVALID_INPUT', message, details: { field: 'ports[1]' } })
    expect(scheduler.stats()).toMatchObject({ sandboxes: 0, templates: { restores: before } })
    await using sandbox = await scheduler.create()
    await expect(sandbox.ports.expose({ guest: 8000, host: taken.port })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining(`${taken.port}, which is in use`),
    })
    expect(sandbox.ports.list()).toEqual([])
    expect((await sandbox.runCode('print(1)')).stdout).toBe('1\n')
  })

  it('is free again, and its connections reset, when it is taken back or the sandbox closes', async () => {
    const sandbox = await scheduler.create({ ports: [8000] })
    await serve(sandbox, DIGEST_SERVER)
    const [{ host } = { host: 0 }] = sandbox.ports.list()
    const same = await sandbox.ports.expose(8000)
    expect(same.host).toBe(host)
    const first = await dial(host)
    const firstEnd = endOf(first)
    expect(await sandbox.ports.unexpose(8000)).toBe(true)
    expect(await firstEnd).toBe('ECONNRESET')
    expect(await isFree(host)).toBe(true)

    const again = await sandbox.ports.expose({ guest: 8000, host })
    expect(again).toEqual({ guest: 8000, host, url: `http://127.0.0.1:${host}` })
    const second = await dial(host)
    const secondEnd = endOf(second)
    // In the middle of a transfer.
    void sendMany(second, MANY_BYTES).catch(() => undefined)
    await once(second, 'drain')
    await sandbox.close()
    expect(await secondEnd).toMatch(/ECONNRESET|EPIPE/)
    expect(await isFree(host)).toBe(true)
    await expect(sandbox.ports.expose(8000)).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
    expect(sandbox.ports.list()).toEqual([])
  })

  it('does not keep its sandbox from closing when a client that is sent something does not read', async () => {
    const sandbox = await scheduler.create({ ports: [8000] })
    await serve(sandbox, SPEAKS_FIRST)
    const [{ host } = { host: 0 }] = sandbox.ports.list()
    const socket = (await dial(host)).pause()
    // At first none of it may be under way.
    for (let before = 0; sandbox.metrics().ports.bytesSent !== before || before === 0; ) {
      before = sandbox.metrics().ports.bytesSent
      await sandbox.commands.run('sleep 0.3')
    }
    await sandbox.close()
    expect(await isFree(host)).toBe(true)
    expect((await readAll(socket).catch(() => Buffer.alloc(0))).byteLength).toBeLessThan(MANY_BYTES / 2)
  })

  it('has at most 256 connections at a time', async () => {
    await using sandbox = await scheduler.create({ ports: [8000] })
    await sandbox.runCode(`
import socket
server = socket.create_server(('127.0.0.1', 8000), backlog=512)`)
    const [{ host } = { host: 0 }] = sandbox.ports.list()
    const sockets = await Promise.all(Array.from({ length: 256 }, async () => await dial(host)))
    while (sandbox.metrics().ports.connections.open < 256) await new Promise(setImmediate)
    expect(await endOf(connect(host, '127.0.0.1'))).toBe('ECONNRESET')
    sockets.pop()?.resetAndDestroy()
    while (sandbox.metrics().ports.connections.open > 255) await new Promise(setImmediate)
    const last = await dial(host)
    while (sandbox.metrics().ports.connections.open < 256) await new Promise(setImmediate)
    for (const socket of [...sockets, last]) socket.destroy()
  })

  it('counts as use while bytes go through it, and not by being open', async () => {
    await using sandbox = await scheduler.create({ ports: [8000], idleTimeoutMs: 2_500 })
    await serve(
      sandbox,
      `
import socket
server = socket.create_server(('127.0.0.1', 8000))
print('listening')
connection, _ = server.accept()
while data := connection.recv(100):
    connection.sendall(data)`,
    )
    const [{ host } = { host: 0 }] = sandbox.ports.list()
    const socket = await dial(host)
    const startedAt = performance.now()
    // Twice as long as it may be idle.
    while (performance.now() - startedAt < 5_000) {
      socket.write('x')
      await once(socket, 'data')
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(await endOf(socket)).toBe('ECONNRESET')
    await expect(sandbox.closed).resolves.toMatchObject({ reason: 'idle' })
  })

  it('holds no process open, nor does a connection through it', async () => {
    const library = fileURLToPath(new URL('../../dist/index.js', import.meta.url))
    const program = `
      import { connect } from 'node:net'
      import { Sandbox } from ${JSON.stringify(library)}
      const sandbox = await Sandbox.create({ language: 'bash', ports: [8000] })
      await sandbox.commands.start(['python3', '-m', 'http.server', '--bind', '127.0.0.1', '8000'])
      const [{ host }] = sandbox.ports.list()
      while (sandbox.metrics().ports.connections.open === 0) {
        const client = connect(host, '127.0.0.1').on('error', () => undefined).unref()
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      console.log('connected')`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
    expect(await once(child, 'close')).toEqual([0, null])
    expect(said).toBe('connected\n')
  })

  it('is in the result of a one-shot run, and told before its program starts', async () => {
    const told: unknown[] = []
    const program = `
import socket
server = socket.create_server(('127.0.0.1', 8000))
connection, _ = server.accept()
connection.sendall(b'once')
connection.shutdown(socket.SHUT_WR)
# The end of the program would reset what is still under way.
connection.recv(1)`
    let answered: Promise<string> | undefined
    const result = await scheduler.run(program, {
      ports: [8000],
      onPorts: (ports) => {
        told.push(...ports)
        const ask = async (): Promise<string> => {
          const socket = await dial(ports[0]?.host ?? 0)
          const answer = await readAll(socket).catch(() => Buffer.alloc(0))
          socket.end()
          return answer.byteLength > 0 ? answer.toString() : await ask()
        }
        answered = ask()
        answered.catch(() => undefined)
      },
    })
    expect(result).toMatchObject({ exitCode: 0, ports: [{ guest: 8000 }] })
    expect(told).toEqual(result.ports)
    expect(await answered).toBe('once')
  })
})
