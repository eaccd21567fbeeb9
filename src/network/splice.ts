import type { Socket } from 'node:net'
import { untilAborted } from '../base/index.ts'
import { ConnectionError } from './connection-error.ts'
import type { GuestConnection } from './guest-connection.ts'

export interface PumpOptions {
  /** Ends the pump: the connection is over. */
  readonly signal: AbortSignal
  /** Told of bytes that the other side has taken. */
  readonly onBytes: (count: number) => void
}

/**
 * What the program sends, into the socket, and its half-close behind it. No more is read from the guest than the socket
 * takes. Resolves when all of it is with the system.
 * @param first bytes that have been read from `source` already
 * @throws AbortedError on the signal, and what the source throws
 */
export async function pumpToSocket(
  source: AsyncIterator<Uint8Array>,
  socket: Socket,
  first: Uint8Array,
  { signal, onBytes }: PumpOptions,
): Promise<void> {
  let chunk = first
  let written = Promise.resolve()
  for (;;) {
    if (chunk.byteLength > 0) {
      onBytes(chunk.byteLength)
      const bytes = chunk
      written = new Promise((resolve) => {
        socket.write(bytes, () => resolve())
      })
      if (socket.writableNeedDrain) await untilAborted(drained(socket), signal)
    }
    const next = await untilAborted(source.next(), signal)
    if (next.done === true) break
    chunk = next.value
  }
  // The end is not begun before all of it is with the system: until then the connection can still be reset.
  await untilAborted(written, signal)
  await untilAborted(new Promise<void>((resolve) => socket.end(resolve)), signal)
}

/**
 * What the socket receives, to the program, and its half-close behind it. No more is read from the socket than the guest
 * takes.
 * @throws AbortedError on the signal, the socket's error, ConnectionError when the guest takes nothing more
 */
export async function pumpToGuest(
  socket: Socket,
  connection: Pick<GuestConnection, 'write' | 'end'>,
  { signal, onBytes }: PumpOptions,
): Promise<void> {
  // The socket outlives this loop: its other direction may go on.
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    const bytes: Uint8Array = chunk
    const taken = await untilAborted(connection.write(bytes), signal)
    if (!taken) throw new ConnectionError('reset', 'the guest has ended the connection')
    onBytes(bytes.byteLength)
  }
  connection.end()
}

// Whoever waits here is ended by its signal if the socket dies first.
async function drained(socket: Socket): Promise<void> {
  if (!socket.writableNeedDrain) return
  await new Promise<void>((resolve) => {
    socket.once('drain', resolve)
  })
}
