import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { InvalidInputError } from '../../base/index.ts'
import { resetSocket } from '../../network/index.ts'
import type { ExposedPort, PortRequest } from './port-options.ts'

/** Who does not run on this host reaches nothing: a sandbox's servers are the user's own affair. */
const HOST = '127.0.0.1'

/**
 * A socket of the host that listens for connections to a port of the guest. It exists before its VM, so that a port that is taken
 * costs none; a connection that comes while nobody takes it is reset. Like the VM, it holds no process open.
 */
export class PortListener {
  readonly port: ExposedPort
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #take: ((socket: Socket) => void) | undefined
  #closed: Promise<void> | undefined

  /**
   * @param field names the option in the error
   * @throws InvalidInputError when the port of the host cannot be listened on
   */
  static async open({ guest, host }: PortRequest, field: string): Promise<PortListener> {
    // The kernel chooses a free port as it binds: there is no moment in which somebody else could take it.
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true })
    try {
      server.listen({ host: HOST, port: host })
      await once(server, 'listening')
    } catch (error) {
      throw listenError(error, host, field)
    }
    server.unref()
    const address = server.address()
    if (typeof address !== 'object' || address === null) throw new TypeError('A TCP server has a port')
    return new PortListener(server, guest, address.port)
  }

  private constructor(server: Server, guest: number, host: number) {
    this.#server = server
    this.port = Object.freeze({ guest, host, url: `http://${HOST}:${host}` })
    // A host without descriptors cannot accept for a while; the kernel keeps who waits.
    server.on('error', () => undefined)
    server.on('connection', (socket) => this.#onConnection(socket))
  }

  /** From now on connections go to `take`, paused. The listener still ends them when it is closed. */
  attach(take: (socket: Socket) => void): void {
    this.#take = take
  }

  /** Listens no more and resets what is connected. Resolves when the port is free again. Any number of times. */
  async close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#server.close(() => resolve())
      for (const socket of this.#sockets) resetSocket(socket)
    })
    await this.#closed
  }

  #onConnection(socket: Socket): void {
    socket.unref()
    // What breaks it is told to whoever reads or writes it.
    socket.on('error', () => undefined)
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    if (this.#take === undefined || this.#closed !== undefined) resetSocket(socket)
    else this.#take(socket)
  }
}

/**
 * Opens a listener for each request; all, or none.
 * @throws InvalidInputError as `PortListener.open`
 */
export async function openListeners(requests: readonly PortRequest[]): Promise<readonly PortListener[]> {
  const opened: PortListener[] = []
  try {
    for (const [index, request] of requests.entries()) {
      opened.push(await PortListener.open(request, `ports[${index}]`))
    }
    return opened
  } catch (error) {
    await closeListeners(opened)
    throw error
  }
}

export async function closeListeners(listeners: readonly PortListener[]): Promise<void> {
  await Promise.all(listeners.map(async (listener) => await listener.close()))
}

function listenError(error: unknown, host: number, field: string): InvalidInputError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const got = host === 0 ? 'none' : `${host}`
  const why =
    code === 'EADDRINUSE'
      ? host === 0
        ? 'all are in use'
        : 'which is in use'
      : code === 'EACCES'
        ? 'which this user may not listen on'
        : error instanceof Error
          ? error.message
          : String(error)
  return new InvalidInputError(`${field}: expected a free port of ${HOST}, got ${got}, ${why}`, { field }, error)
}
