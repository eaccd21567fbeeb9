import type { Duplex } from 'node:stream'
import { encodeCredit } from './frame.ts'
import type { OutboundStream } from './outbound-stream.ts'

/** What the queue needs of a socket. */
export type WriteSocket = Pick<Duplex, 'write' | 'cork' | 'uncork' | 'on'>

interface ControlFrame {
  readonly id: number
  readonly bytes: Buffer
  readonly onWritten?: (() => void) | undefined
}

interface Grant {
  readonly id: number
  readonly stream: number
  bytes: number
}

/**
 * What waits for the socket. Control frames go first, in order; then credit, then one DATA frame of each stream in
 * turn. Nothing is handed to a socket that has not drained: so at most one DATA frame and the socket's own buffer
 * stand before a control frame. Each part is bounded: credit by one entry per stream, data by one write per stream,
 * control frames by `queuedBytes`, which the channel limits.
 */
export class WriteQueue {
  readonly #socket: WriteSocket
  #control: ControlFrame[] = []
  readonly #grants = new Map<number, Grant>()
  readonly #ready = new Set<OutboundStream>()
  #queuedBytes = 0
  #blocked = false
  #pumping = false
  #stopped = false

  constructor(socket: WriteSocket) {
    this.#socket = socket
    socket.on('drain', () => {
      this.#blocked = false
      this.#pump()
    })
  }

  /** Bytes of control frames that the socket has not taken yet. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** @param onWritten called when the frame has been handed to the socket, perhaps before this returns */
  control(id: number, bytes: Buffer, onWritten?: () => void): void {
    this.#control.push({ id, bytes, onWritten })
    this.#queuedBytes += bytes.byteLength
    this.#pump()
  }

  credit(id: number, stream: number, bytes: number): void {
    const key = id * 16 + stream
    const waiting = this.#grants.get(key)
    if (waiting === undefined) this.#grants.set(key, { id, stream, bytes })
    else waiting.bytes += bytes
    this.#pump()
  }

  /** `stream` may have a frame to take. */
  ready(stream: OutboundStream): void {
    this.#ready.add(stream)
    this.#pump()
  }

  /** Takes back every control frame and grant of an exchange that the socket has not got yet. */
  withdraw(id: number): void {
    const kept = this.#control.filter((frame) => frame.id !== id)
    this.#control = kept
    this.#queuedBytes = kept.reduce((sum, { bytes }) => sum + bytes.byteLength, 0)
    for (const [key, grant] of this.#grants) if (grant.id === id) this.#grants.delete(key)
    for (const stream of this.#ready) if (stream.id === id) this.#ready.delete(stream)
  }

  stop(): void {
    this.#stopped = true
    this.#control = []
    this.#queuedBytes = 0
    this.#grants.clear()
    this.#ready.clear()
  }

  #pump(): void {
    if (this.#pumping || this.#blocked || this.#stopped) return
    this.#pumping = true
    this.#socket.cork()
    try {
      while (!this.#blocked && !this.#stopped && this.#writeNext());
    } finally {
      this.#pumping = false
      this.#socket.uncork()
    }
  }

  /** Writes the frame whose turn it is; false when there is none. */
  #writeNext(): boolean {
    const control = this.#control.shift()
    if (control !== undefined) {
      this.#queuedBytes -= control.bytes.byteLength
      this.#write(control.bytes)
      control.onWritten?.()
      return true
    }
    for (const [key, { id, stream, bytes }] of this.#grants) {
      this.#grants.delete(key)
      this.#write(encodeCredit(id, stream, bytes))
      return true
    }
    for (const stream of this.#ready) {
      // Taken out and put back at the end: streams with data take turns.
      this.#ready.delete(stream)
      const frame = stream.take()
      if (frame === undefined) continue
      this.#ready.add(stream)
      frame.buffers.forEach((buffer, index) => {
        this.#write(buffer, index === frame.buffers.length - 1 ? frame.onWritten : undefined)
      })
      return true
    }
    return false
  }

  #write(bytes: Uint8Array, onWritten?: () => void): void {
    // An error reaches the channel through the socket's events; here it only must not count as written.
    const callback = onWritten === undefined ? undefined : (error?: Error | null) => (error ? undefined : onWritten())
    if (!this.#socket.write(bytes, callback)) this.#blocked = true
  }
}
