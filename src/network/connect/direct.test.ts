import { connect as connectTcp, Socket } from 'node:net'
import { expect, test } from 'vitest'
import { holdsProcess } from '../../../test/network/holds-process.ts'
import { closedPort, tcpServer } from '../../../test/network/servers.ts'
import { connectDirect, connectSocket } from './direct.ts'

const signal = new AbortController().signal

test('connects to an address for real, both ends half-open', async () => {
  await using server = await tcpServer((socket) => socket.end('bye'))
  const { socket, address } = await connectDirect(['127.0.0.1'], server.port, { connect: connectSocket, signal })
  expect(holdsProcess(socket)).toBe(false)
  socket.resume()
  await new Promise((resolve) => socket.once('end', resolve))
  expect([address, socket.writable, socket.readableHighWaterMark]).toEqual(['127.0.0.1', true, 65_536])
  socket.destroy()
})

test('a refused address is followed by the next at once', async () => {
  const closed = await closedPort()
  await using server = await tcpServer(() => undefined)
  const ports: Record<string, number> = { '192.0.2.1': closed, '192.0.2.2': server.port }
  const { socket, address } = await connectDirect(['192.0.2.1', '192.0.2.2'], 80, {
    signal,
    connect: (to) => connectTcp({ host: '127.0.0.1', port: ports[to] ?? closed }),
  })
  expect(address).toBe('192.0.2.2')
  socket.destroy()
})

test('a silent address does not keep the next one waiting, and its socket is destroyed', async () => {
  await using server = await tcpServer(() => undefined)
  const silent = new Socket()
  const { socket, address } = await connectDirect(['192.0.2.1', '192.0.2.2'], 80, {
    signal,
    connect: (to) => (to === '192.0.2.1' ? silent : connectTcp({ host: '127.0.0.1', port: server.port })),
  })
  expect([address, silent.destroyed]).toEqual(['192.0.2.2', true])
  socket.destroy()
})

test.each([
  [['ECONNREFUSED', 'ENETUNREACH'], 'connection-refused'],
  [['ENETUNREACH', 'ECONNREFUSED'], 'connection-refused'],
  [['ENETUNREACH', 'ETIMEDOUT'], 'timed-out'],
  [['EHOSTUNREACH', 'EPERM'], 'unreachable'],
  [['EMFILE'], 'busy'],
  [[], 'unreachable'],
])('of %j the most telling is %s', async (errnos, code) => {
  const connect = (errno: string): Socket => {
    const socket = new Socket()
    setImmediate(() => socket.destroy(Object.assign(new Error(errno), { code: errno })))
    return socket
  }
  await expect(connectDirect(errnos, 80, { signal, connect })).rejects.toMatchObject({ code })
})

test('of many addresses 8 are tried', async () => {
  const tried: string[] = []
  const connect = (address: string): Socket => {
    tried.push(address)
    const socket = new Socket()
    setImmediate(() => socket.destroy(Object.assign(new Error('no'), { code: 'ECONNREFUSED' })))
    return socket
  }
  const addresses = Array.from({ length: 100 }, (_, index) => `192.0.2.${index}`)
  await expect(connectDirect(addresses, 80, { signal, connect })).rejects.toMatchObject({ code: 'connection-refused' })
  expect(tried).toEqual(addresses.slice(0, 8))
})

test('the signal ends every attempt', async () => {
  const sockets: Socket[] = []
  const abort = new AbortController()
  const connecting = connectDirect(['192.0.2.1', '192.0.2.2'], 80, {
    signal: abort.signal,
    connect: () => {
      const socket = new Socket()
      sockets.push(socket)
      if (sockets.length === 2) setImmediate(() => abort.abort(new Error('enough')))
      return socket
    },
  })
  await expect(connecting).rejects.toThrow('enough')
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, true])
})
