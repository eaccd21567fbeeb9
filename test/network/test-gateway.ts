import type { LookupAddress } from 'node:dns'
import { connect, type Socket } from 'node:net'
import { createLogger } from '../../src/base/index.ts'
import {
  Gateway,
  type HostNetwork,
  type NameAnswer,
  type NetworkOptions,
  openHostNetwork,
  parseNetworkPolicy,
} from '../../src/network/index.ts'
import { GuestProgram } from './guest-program.ts'

export interface TestGatewayOptions {
  readonly network: NetworkOptions
  /** Addresses of names; those that are not here do not exist. */
  readonly names?: Readonly<Record<string, readonly string[]>>
  /** The ports of 127.0.0.1 that answer for `address:port`, or for `:port` of any address. Others refuse connections. */
  readonly routes?: Readonly<Record<string, number>>
  readonly host?: Partial<HostNetwork>
  readonly halfOpenIdleMs?: number
}

/** A gateway whose world is the loopback of this host, and the programs that use it. */
export class TestGateway implements Disposable {
  readonly gateway: Gateway
  /** `address:port` of each connection begun, in order. */
  readonly dialled: string[] = []
  /** Names that the host's resolver was asked for, in order. */
  readonly lookedUp: string[] = []
  readonly debugLog: string[] = []
  readonly #sockets = new Set<Socket>()
  readonly #running = new Set<Promise<void>>()

  constructor({ network, names = {}, routes = {}, host = {}, ...rest }: TestGatewayOptions) {
    const logger = createLogger('debug', (line) => this.debugLog.push(line))
    this.gateway = new Gateway({
      ...rest,
      policy: parseNetworkPolicy(network),
      logger,
      host: {
        ...openHostNetwork(logger),
        chooseProxy: () => ({ kind: 'direct' }),
        lookup: async (name) => {
          this.lookedUp.push(name)
          return await Promise.resolve(found(names[name]))
        },
        connect: (address, port) => {
          this.dialled.push(`${address}:${port}`)
          const socket = connect({
            host: '127.0.0.1',
            // Nobody listens on the port that is reserved for that (RFC 6335, tcpmux).
            port: routes[`${address}:${port}`] ?? routes[`:${port}`] ?? 1,
            allowHalfOpen: true,
            noDelay: true,
          })
          this.#sockets.add(socket)
          socket.once('close', () => this.#sockets.delete(socket))
          return socket
        },
        ...host,
      },
    })
  }

  /** A program begins a connection; `connected` and `ended` of it say what becomes of it. */
  program(address: string, port: number): GuestProgram {
    const program = new GuestProgram(address, port)
    const run = this.gateway.connect(program.connection).finally(() => this.#running.delete(run))
    this.#running.add(run)
    return program
  }

  /** A program resolves a name and connects to the first address that it gets. */
  async open(name: string, port: number): Promise<GuestProgram> {
    const answer = await this.resolve(name)
    const [address] = answer.addresses
    if (address === undefined) throw new Error(`${name}: ${answer.status}`)
    const program = this.program(address, port)
    await program.connected
    return program
  }

  async resolve(name: string, type: 'A' | 'AAAA' = 'A'): Promise<NameAnswer> {
    return await this.gateway.resolve(name, type, new AbortController().signal)
  }

  setNetwork(network: NetworkOptions): void {
    this.gateway.setPolicy(parseNetworkPolicy(network))
  }

  /** Sockets that the gateway has begun and not destroyed. */
  get openSockets(): number {
    return [...this.#sockets].filter(({ destroyed }) => !destroyed).length
  }

  /** `kind name address port rule` of each refusal, as far as it has them. */
  get refusals(): readonly string[] {
    return this.gateway
      .metrics()
      .refused.map(({ kind, name, address, port, rule }) =>
        [kind, name, address, port, `(${rule})`].filter((part) => part !== undefined).join(' '),
      )
  }

  /** Resolves when every `connect` call has settled. */
  async settled(): Promise<void> {
    await Promise.all(this.#running)
  }

  [Symbol.dispose](): void {
    this.gateway.close()
  }
}

function found(addresses: readonly string[] | undefined): LookupAddress[] {
  if (addresses === undefined) throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })
  return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
}
