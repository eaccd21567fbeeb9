import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/**
 * Ends a connection with a RST where there is TCP to send one: the peer learns that this was no orderly end, whatever it got
 * before. Any number of times.
 */
export function resetSocket(socket: Socket): void {
  if (socket instanceof TLSSocket) {
    socket.destroy()
  } else if (socket.writableEnded && !socket.writableFinished && !socket.destroyed) {
    // libuv refuses to reset a socket while its FIN is on the way to the system, and Node then forgets the socket, open.
    socket.once('finish', () => socket.resetAndDestroy())
  } else {
    socket.resetAndDestroy()
  }
}
