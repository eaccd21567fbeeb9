import type { Socket } from 'node:net'
import { Channel } from '../../src/channel/index.ts'
import { connectedSockets } from './connected-sockets.ts'
import { WirePeer } from './wire-peer.ts'

export interface Pair extends AsyncDisposable {
  readonly channel: Channel
  readonly peer: WirePeer
  /** The channel's own socket, to look at; the channel owns it. */
  readonly socket: Socket
}

/** An open channel and the peer that said HELLO to it. */
export async function openPair(onData?: ConstructorParameters<typeof WirePeer>[1]): Promise<Pair> {
  const [near, far] = await connectedSockets()
  const peer = new WirePeer(far, onData)
  peer.hello()
  const channel = await Channel.open(near, { helloTimeoutMs: 20_000 })
  await peer.next('WELCOME')
  return {
    channel,
    peer,
    socket: near,
    [Symbol.asyncDispose]: async () => {
      await channel.close()
      await peer[Symbol.asyncDispose]()
    },
  }
}
