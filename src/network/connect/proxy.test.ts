import type { Socket } from 'node:net'
import { expect, test, vi } from 'vitest'
import { Authority } from '../../../test/network/certificates.ts'
import { holdsProcess } from '../../../test/network/holds-process.ts'
import { closedPort, connectProxy, tcpServer } from '../../../test/network/servers.ts'
import { connectThroughProxy } from './proxy.ts'

const signal = new AbortController().signal
const ECHO = (socket: Socket): void => void socket.pipe(socket)

async function said(socket: Socket): Promise<string> {
  return await new Promise((resolve) => socket.once('data', (chunk) => resolve(chunk.toString())))
}

test('names the target, carries both directions and half-close', async () => {
  await using server = await tcpServer((socket) => {
    socket.on('data', (chunk) => socket.write(chunk))
    socket.on('end', () => socket.end('bye'))
  })
  await using proxy = await connectProxy({ route: () => ({ host: '127.0.0.1', port: server.port }) })
  const socket = await connectThroughProxy(new URL(`http://127.0.0.1:${proxy.port}`), 'example.com:443', { signal })
  socket.write('ping')
  expect([await said(socket), holdsProcess(socket)]).toEqual(['ping', false])
  socket.end()
  expect(await said(socket)).toBe('bye')
  expect(proxy.asked).toEqual(['example.com:443'])
})

test('credentials of the URL are sent, and never shown', async () => {
  await using server = await tcpServer(ECHO)
  const authorization = `Basic ${Buffer.from('me:p@ss').toString('base64')}`
  await using proxy = await connectProxy({ authorization, route: () => ({ host: '127.0.0.1', port: server.port }) })
  const url = new URL(`http://me:p%40ss@127.0.0.1:${proxy.port}`)
  const socket = await connectThroughProxy(url, 'example.com:443', { signal })
  socket.destroy()
  const unquoted = Buffer.from('me:50%').toString('base64')
  await using other = await connectProxy({ authorization: `Basic ${unquoted}`, route: () => 403 })
  const refused = connectThroughProxy(new URL(`http://me:50%@127.0.0.1:${other.port}`), 'example.com:443', { signal })
  await expect(refused).rejects.toThrow('403')
  const wrong = new URL(`http://me:secret@127.0.0.1:${proxy.port}`)
  const error: unknown = await connectThroughProxy(wrong, 'example.com:443', { signal }).catch(
    (thrown: unknown) => thrown,
  )
  expect(error).toMatchObject({ code: 'refused', message: expect.stringContaining('407') })
  expect(String(error)).not.toContain('secret')
  expect(proxy.asked).toHaveLength(2)
})

test.each([
  [403, 'refused'],
  [407, 'refused'],
  [502, 'unreachable'],
  [503, 'unreachable'],
  [504, 'timed-out'],
])('the answer %i is %s', async (status, code) => {
  await using proxy = await connectProxy({ route: () => status })
  const asked = connectThroughProxy(new URL(`http://127.0.0.1:${proxy.port}`), 'example.com:443', { signal })
  await expect(asked).rejects.toMatchObject({ code, message: expect.stringContaining(String(status)) })
  await vi.waitFor(() => expect(proxy.sockets.size).toBe(0))
})

test('a proxy that is not there is unreachable, not refused by the target', async () => {
  const port = await closedPort()
  const asked = connectThroughProxy(new URL(`http://127.0.0.1:${port}`), 'example.com:443', { signal })
  await expect(asked).rejects.toMatchObject({ code: 'unreachable' })
})

test.each(['nonsense\r\n\r\n', 'HTTP/1.1 200 OK\r\n', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`])(
  'a proxy that answers with something else is unreachable (%#)',
  async (answer) => {
    await using server = await tcpServer((socket) => socket.once('data', () => socket.end(answer)))
    const asked = connectThroughProxy(new URL(`http://127.0.0.1:${server.port}`), 'example.com:443', { signal })
    await expect(asked).rejects.toMatchObject({ code: 'unreachable' })
  },
)

test('bytes right behind the answer are not lost', async () => {
  await using server = await tcpServer((socket) =>
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\n\r\n220 hello')),
  )
  const socket = await connectThroughProxy(new URL(`http://127.0.0.1:${server.port}`), 'example.com:25', { signal })
  expect(await said(socket)).toBe('220 hello')
  socket.destroy()
})

test('a proxy that speaks TLS is certified by the authorities given', async () => {
  const authority = new Authority()
  const certificate = authority.issue({ commonName: 'proxy', names: ['localhost', '127.0.0.1'] })
  await using server = await tcpServer(ECHO)
  await using proxy = await connectProxy({ certificate, route: () => ({ host: '127.0.0.1', port: server.port }) })
  const url = new URL(`https://127.0.0.1:${proxy.port}`)
  await expect(connectThroughProxy(url, 'example.com:443', { signal })).rejects.toMatchObject({ code: 'unreachable' })
  const authorities = [authority.certificate.cert]
  const socket = await connectThroughProxy(url, 'example.com:443', { signal, authorities })
  socket.write('ping')
  expect(await said(socket)).toBe('ping')
  socket.destroy()
})

test('the signal ends the wait for a silent proxy and closes its socket', async () => {
  await using server = await tcpServer((socket) => void socket.resume())
  const abort = new AbortController()
  const url = new URL(`http://127.0.0.1:${server.port}`)
  const asked = connectThroughProxy(url, 'example.com:443', { signal: abort.signal })
  await vi.waitFor(() => expect(server.sockets.size).toBe(1))
  const [socket] = server.sockets
  abort.abort(new Error('enough'))
  await expect(asked).rejects.toThrow('enough')
  await vi.waitFor(() => expect(socket?.readableEnded || socket?.errored != null).toBe(true))
})
