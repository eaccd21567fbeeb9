import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { resetSocket } from './reset-socket.ts'

/** Both ends of a connection; the server is closed already. */
async function connected(): Promise<{
  readonly near: Socket
  readonly far: Socket
  readonly closed: Promise<unknown>
}> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const far = connect({
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    host: '127.0.0.1',
    allowHalfOpen: true,
  })
  const [near] = (await once(server, 'connection')) as [Socket]
  near.on('error', () => undefined)
  return { near, far, closed: once(server.close(), 'close') }
}

test.each([
  ['that is open', () => undefined],
  ['whose end is on the way', (socket: Socket) => void socket.end()],
  ['whose end is there', async (socket: Socket) => await new Promise<void>((resolve) => void socket.end(resolve))],
  ['that has been reset', (socket: Socket) => resetSocket(socket)],
])('a socket %s is closed for good, and its peer learns it', async (_, before) => {
  const { near, far, closed } = await connected()
  const failed = new Promise<string | undefined>((resolve) => {
    far.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
  })
  far.resume()
  await before(near)
  resetSocket(near)
  // Who has read an end reads no more, and learns it as it writes.
  const writing = setInterval(() => far.write('x'), 5)
  expect(await failed).toMatch(/^(ECONNRESET|EPIPE)$/)
  clearInterval(writing)
  await closed
  expect(near.destroyed).toBe(true)
})
