import type { Socket } from 'node:net'
import { z } from 'zod'
import { InvalidInputError, type Logger, throwIfAborted } from '../../base/index.ts'
import { resetSocket } from '../../network/index.ts'
import type { Vm } from '../../vm/index.ts'
import type { Lifetime } from '../lifetime.ts'
import { parseOptions, signal as signalSchema } from '../parse-options.ts'
import { carryConnection } from './carry-connection.ts'
import { closeListeners, PortListener } from './port-listener.ts'
import { checkPort, type ExposedPort, MAX_PORTS, type PortOption } from './port-options.ts'

/** What has come to a sandbox's servers through its exposed ports. */
export interface PortMetrics {
  readonly connections: {
    /** Connections that stand now. */
    readonly open: number
    /** Connections that a server in the guest accepted. */
    readonly opened: number
    /** Connections that none accepted, or that were more than a sandbox may have at a time. */
    readonly refused: number
  }
  /** Bytes of clients that the guest took. */
  readonly bytesReceived: number
  /** Bytes of the guest's servers that went out to clients. */
  readonly bytesSent: number
}

export interface PortsOptions {
  readonly vm: Vm
  readonly life: Lifetime
  readonly logger: Logger
  /** Those of the sandbox's options; the sandbox closes them from here on. */
  readonly listeners: readonly PortListener[]
}

/** Connections through all ports of a sandbox at a time, those that wait for a server included. */
const MAX_CONNECTIONS = 256

const exposeOptions = z.strictObject({ signal: signalSchema.optional() })
const unexposeArguments = z.object({ port: z.number().int().min(1).max(65_535) })

/**
 * Ports of the guest that can be reached on 127.0.0.1 of this host, with or without network. A connection is carried to
 * whatever listens in the guest at that moment; if nothing does, it is reset. Bytes that go through count as use of the sandbox
 * for its idle time-out; a connection without traffic does not. Neither holds the caller's process open.
 */
export class Ports {
  readonly #vm: Vm
  readonly #life: Lifetime
  readonly #logger: Logger
  readonly #listeners = new Map<number, PortListener>()
  readonly #connections = { open: 0, opened: 0, refused: 0 }
  #carried = 0
  #bytesReceived = 0
  #bytesSent = 0
  #isClosed = false

  /** Use `sandbox.ports`. */
  constructor({ vm, life, logger, listeners }: PortsOptions) {
    this.#vm = vm
    this.#life = life
    this.#logger = logger
    for (const listener of listeners) this.#add(listener)
    life.atEnd(async () => await this.#close())
  }

  /**
   * Makes a port of the guest reachable at once, whether or not something listens there yet.
   * @param port of the guest, or with the port of the host that is to lead to it
   * @returns where it is reached; for a port that is exposed already, and no other port of the host is asked for, the same again
   * @throws InvalidInputError when the port of the host is in use · SandboxClosedError · AbortedError
   */
  async expose(port: PortOption, options: { readonly signal?: AbortSignal } = {}): Promise<ExposedPort> {
    const request = checkPort(port)
    parseOptions(exposeOptions, options)
    throwIfAborted(options.signal)
    return await this.#life.busy(async () => {
      const { guest, host } = request
      const there = this.#listeners.get(guest)?.port
      if (there !== undefined && (host === 0 || host === there.host)) return there
      this.#checkRoom(guest)
      const listener = await PortListener.open(request, 'port')
      try {
        this.#life.throwIfEnded()
        throwIfAborted(options.signal)
        // Another call may have been quicker.
        this.#checkRoom(guest)
      } catch (error) {
        await listener.close()
        throw error
      }
      this.#add(listener)
      return listener.port
    })
  }

  /**
   * Stops listening for a port of the guest and resets its connections; resolves when the host's port is free.
   * @returns false when it was not exposed
   */
  async unexpose(guest: number): Promise<boolean> {
    parseOptions(unexposeArguments, { port: guest })
    const listener = this.#listeners.get(guest)
    if (listener === undefined) return false
    this.#listeners.delete(guest)
    await listener.close()
    return true
  }

  /** The ports that are exposed, in the order in which they were. */
  list(): readonly ExposedPort[] {
    return [...this.#listeners.values()].map(({ port }) => port)
  }

  metrics(): PortMetrics {
    const { open, opened, refused } = this.#connections
    return {
      connections: { open, opened, refused },
      bytesReceived: this.#bytesReceived,
      bytesSent: this.#bytesSent,
    }
  }

  #add(listener: PortListener): void {
    const { guest } = listener.port
    this.#listeners.set(guest, listener)
    listener.attach((socket) => void this.#carry(socket, guest))
  }

  async #close(): Promise<void> {
    this.#isClosed = true
    const listeners = [...this.#listeners.values()]
    this.#listeners.clear()
    await closeListeners(listeners)
  }

  /** Never rejects. */
  async #carry(socket: Socket, guest: number): Promise<void> {
    if (this.#isClosed || this.#carried >= MAX_CONNECTIONS) {
      this.#connections.refused += 1
      resetSocket(socket)
      return
    }
    this.#carried += 1
    let isConnected = false
    try {
      await carryConnection(socket, {
        channel: this.#vm.channel,
        guest,
        onConnected: () => {
          isConnected = true
          this.#connections.opened += 1
          this.#connections.open += 1
          this.#life.touch()
        },
        onReceived: (bytes) => {
          this.#bytesReceived += bytes
          this.#life.touch()
        },
        onSent: (bytes) => {
          this.#bytesSent += bytes
          this.#life.touch()
        },
      })
    } catch (error) {
      this.#logger.debug('port: connection ended', { guest, cause: error instanceof Error ? error.message : '' })
    } finally {
      this.#carried -= 1
      if (isConnected) this.#connections.open -= 1
      else this.#connections.refused += 1
    }
  }

  #checkRoom(guest: number): void {
    const there = this.#listeners.get(guest)?.port
    if (there !== undefined) throw refuse(`expected a port not yet exposed, got ${guest}, which is ${there.url}`)
    if (this.#listeners.size >= MAX_PORTS) throw refuse(`expected at most ${MAX_PORTS} ports, got one more`)
  }
}

function refuse(message: string): InvalidInputError {
  return new InvalidInputError(`port: ${message}`, { field: 'port' })
}
