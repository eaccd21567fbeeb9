import type { LookupAddress } from 'node:dns'
import { connect, Socket } from 'node:net'
import { createLogger } from '../../src/base/index.ts'
import { type HostNetwork, openHostNetwork } from '../../src/network/index.ts'

/**
 * What sandboxes of a test find outside: names and public addresses that exist in the test alone, behind which servers on the
 * loopback of this host stand. Everything else of the host's network is real.
 */
export class NetworkWorld {
  /** Addresses of names; those that are not here do not exist. */
  readonly names = new Map<string, readonly string[]>()
  /** Ports of 127.0.0.1 by `address:port`; where there is none, nobody answers: refused. */
  readonly routes = new Map<string, number>()
  /** `address:port` that never answer. */
  readonly silent = new Set<string>()
  /** `address:port` of each connection that was begun. */
  readonly dialled: string[] = []
  /** Names that the host was asked for. */
  readonly lookedUp: string[] = []
  /** The proxy of the host's environment. */
  proxy: URL | undefined
  /** PEM of the host's extra authorities. */
  authorities = ''
  readonly host: HostNetwork

  constructor() {
    this.host = {
      ...openHostNetwork(createLogger('silent')),
      lookup: async (name) => {
        this.lookedUp.push(name)
        const addresses = this.names.get(name)
        if (addresses === undefined) throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })
        return await Promise.resolve(addresses.map(asLookupAddress))
      },
      connect: (address, port) => this.#connect(address, port),
      chooseProxy: () => (this.proxy === undefined ? { kind: 'direct' } : { kind: 'proxy', url: this.proxy }),
      authorities: async () => await Promise.resolve(this.authorities),
    }
  }

  /** A name with one public address, behind whose `port` the server on `localPort` stands. */
  serve(name: string, address: string, ports: Readonly<Record<number, number>>): void {
    this.names.set(name, [address])
    for (const [port, localPort] of Object.entries(ports)) this.routes.set(`${address}:${port}`, localPort)
  }

  #connect(address: string, port: number): Socket {
    const to = `${address}:${port}`
    this.dialled.push(to)
    // A socket that nobody tells to connect: as far as anybody can see, an address that drops everything.
    if (this.silent.has(to)) return new Socket()
    return connect({ host: '127.0.0.1', port: this.routes.get(to) ?? 1, allowHalfOpen: true, noDelay: true })
  }
}

function asLookupAddress(address: string): LookupAddress {
  return { address, family: address.includes(':') ? 6 : 4 }
}
