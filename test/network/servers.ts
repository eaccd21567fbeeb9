import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import type { Certificate } from './certificates.ts'

/** A server of a test on a port of 127.0.0.1 that the system chose. */
export interface TestServer extends AsyncDisposable {
  readonly port: number
  /** Sockets of clients that are open now. */
  readonly sockets: ReadonlySet<Socket>
}

export async function tcpServer(onSocket: (socket: Socket) => void): Promise<TestServer> {
  return await listening(
    createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on('error', () => undefined)
      onSocket(socket)
    }),
  )
}

export async function tlsServer(
  { cert, key }: Certificate,
  onSocket: (socket: TLSSocket) => void,
): Promise<TestServer> {
  const server = createTlsServer({ cert, key }, (socket) => {
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  server.on('tlsClientError', () => undefined)
  return await listening(server)
}

export async function httpServer(listener: RequestListener): Promise<TestServer> {
  return await listening(createHttpServer(listener))
}

export async function httpsServer({ cert, key }: Certificate, listener: RequestListener): Promise<TestServer> {
  const server = createHttpsServer({ cert, key }, listener)
  server.on('tlsClientError', () => undefined)
  return await listening(server)
}

/** A port of 127.0.0.1 on which nobody listens any more. */
export async function closedPort(): Promise<number> {
  await using server = await tcpServer(() => undefined)
  return server.port
}

export interface ConnectProxy extends TestServer {
  /** `target authorization` of each CONNECT. */
  readonly asked: readonly string[]
}

export interface ConnectProxyOptions {
  /** The header that it wants, else 407. */
  readonly authorization?: string
  /** Where CONNECT leads, by its target; a number is an answer with that status. */
  readonly route: (target: string) => { readonly host: string; readonly port: number } | number
  /** An https: proxy. */
  readonly certificate?: Certificate
}

/** An HTTP proxy that knows CONNECT alone. */
export async function connectProxy({ authorization, route, certificate }: ConnectProxyOptions): Promise<ConnectProxy> {
  const asked: string[] = []
  const onSocket = (socket: Socket): void => {
    socket.on('error', () => undefined)
    let text = ''
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      if (!text.includes('\r\n\r\n')) return
      socket.off('data', onData)
      socket.pause()
      const target = /^CONNECT (\S+) HTTP\/1\.1\r\n/.exec(text)?.[1] ?? 'no CONNECT'
      const given = /\r\nproxy-authorization: ([^\r]*)\r\n/i.exec(text)?.[1]
      asked.push(given === undefined ? target : `${target} ${given}`)
      const to = authorization !== undefined && given !== authorization ? 407 : route(target)
      if (typeof to === 'number') return void socket.end(`HTTP/1.1 ${to} No\r\ncontent-length: 0\r\n\r\n`)
      const upstream = connect({ ...to, allowHalfOpen: true }, () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
        socket.pipe(upstream).pipe(socket)
      })
      upstream.on('error', () => socket.destroy())
      upstream.on('close', () => socket.destroy())
      socket.on('close', () => upstream.destroy())
    }
    socket.on('data', onData)
  }
  const server =
    certificate === undefined
      ? createServer({ allowHalfOpen: true }, onSocket)
      : createTlsServer({ ...certificate, allowHalfOpen: true }, onSocket)
  server.on('tlsClientError', () => undefined)
  return Object.assign(await listening(server), { asked })
}

async function listening(server: Server): Promise<TestServer> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const { port } = server.address() as AddressInfo
  return {
    port,
    sockets,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    },
  }
}
