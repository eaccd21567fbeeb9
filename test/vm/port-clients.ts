import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { CommandHandle, Sandbox } from '../../src/index.ts'

/** A client of a port of this host. */
export async function dial(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  await once(socket, 'connect')
  // Who waits for its end hears of it; nobody else has to.
  socket.on('error', () => undefined)
  return socket
}

/** All that the other side sends until its end. */
export async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** How a connection ends: with what error, or `closed`. */
export async function endOf(socket: Socket): Promise<string> {
  return await new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.once('close', () => resolve('closed'))
    socket.resume()
  })
}

/** Sends `total` bytes that are never twice the same for long, as the socket takes them; gives their SHA-256. */
export async function sendMany(socket: Socket, total: number): Promise<string> {
  const hash = createHash('sha256')
  for (let sent = 0; sent < total; ) {
    const chunk = Buffer.alloc(Math.min(60_000, total - sent))
    for (let at = 0; at + 4 <= chunk.byteLength; at += 4)
      chunk.writeUInt32LE(((sent + at) * 2_654_435_761) % 2 ** 32, at)
    hash.update(chunk)
    sent += chunk.byteLength
    if (!socket.write(chunk)) await once(socket, 'drain')
  }
  return hash.digest('hex')
}

/** A listener of the host on a port of its own. */
export async function occupiedPort(): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new TypeError('no port')
  return {
    port: address.port,
    [Symbol.asyncDispose]: async () => {
      server.close()
      await once(server, 'close')
    },
  }
}

/** Whether this process could listen on the port now. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    server.close()
    await once(server, 'close')
    return true
  } catch {
    return false
  }
}

/** Starts a Python program in the guest, and waits until it has written its first line: then its servers listen. */
export async function serve(sandbox: Sandbox, program: string): Promise<CommandHandle> {
  const handle = await sandbox.commands.start(['python3', '-u', '-c', program])
  for await (const { data } of handle.output) {
    if (data.includes('\n')) return handle
  }
  throw new Error(`the server ended: ${JSON.stringify(await handle.wait())}`)
}
