import { once } from 'node:events'
import type { Socket } from 'node:net'
import { withDeadline } from '../../src/base/index.ts'
import { encodeCredit, encodeData, encodeEmpty, encodeJson, type FrameHeader } from '../../src/channel/frame.ts'
import { FrameDecoder } from '../../src/channel/frame-decoder.ts'
import { type FrameType, GENERATION } from '../../src/channel/wire.ts'

/** A frame that the host sent, with how many bytes the host had sent before it. */
export interface HeardFrame {
  readonly header: FrameHeader
  readonly payload: Buffer
  readonly bytesBefore: number
}

const FRAME_TIMEOUT_MS = 25_000

/** The guest's end of a channel, played by a test: it writes the bytes it is told to and keeps what it hears. */
export class WirePeer implements AsyncDisposable {
  readonly socket: Socket
  /** Every frame heard and not taken yet. */
  readonly heard: HeardFrame[] = []
  /** Payload bytes of DATA heard so far, by "id/stream"; the frames themselves are kept without payload. */
  readonly dataBytes = new Map<string, number>()
  readonly ended: Promise<void>
  #bytes = 0
  #waiters: (() => void)[] = []
  #error: Error | undefined

  /** @param onData called with each piece of DATA, as it is heard */
  constructor(socket: Socket, onData: (header: FrameHeader, piece: Uint8Array) => void = () => undefined) {
    this.socket = socket
    let header: FrameHeader | undefined
    const decoder = new FrameDecoder('host', {
      frame: (each, payload) => this.#hear(each, Buffer.from(payload)),
      data: (each) => {
        header = each
        const key = `${each.id}/${each.stream}`
        this.dataBytes.set(key, (this.dataBytes.get(key) ?? 0) + each.length)
        this.#hear(each, Buffer.alloc(0))
      },
      dataBytes: (piece) => {
        if (header !== undefined) onData(header, piece)
      },
    })
    socket.on('data', (chunk: Buffer) => decoder.push(chunk))
    socket.on('error', (error) => {
      this.#error = error
    })
    this.ended = new Promise((resolve) => {
      socket.on('close', () => resolve())
    })
  }

  hello(fields: object = { generation: GENERATION, agent: 'wire-peer' }): void {
    this.send(encodeJson('HELLO', 0, fields))
  }

  /** Begins an exchange of the guest. */
  request(id: number, method: string, params: object): void {
    this.send(encodeJson('REQUEST', id, { method, params }))
  }

  cancel(id: number): void {
    this.send(encodeEmpty('CANCEL', id, 0))
  }

  respond(id: number, result: object = {}): void {
    this.send(encodeJson('RESPONSE', id, { result }))
  }

  refuse(id: number, code: string, message = 'no'): void {
    this.send(encodeJson('RESPONSE', id, { error: { code, message } }))
  }

  event(id: number, body: object): void {
    this.send(encodeJson('EVENT', id, body))
  }

  data(id: number, stream: number, payload: Uint8Array): void {
    this.send(encodeData(id, stream, payload))
  }

  credit(id: number, stream: number, bytes: number): void {
    this.send(encodeCredit(id, stream, bytes))
  }

  end(id: number, stream: number): void {
    this.send(encodeEmpty('END', id, stream))
  }

  /** Writes bytes as they are; false when the socket wants a pause. */
  send(bytes: Uint8Array): boolean {
    return this.socket.write(bytes)
  }

  /** The next frame of a type that was heard, taken out of `heard`. */
  async next(type: FrameType): Promise<HeardFrame> {
    const find = async (): Promise<HeardFrame> => {
      for (;;) {
        const index = this.heard.findIndex(({ header }) => header.type === type)
        const [frame] = index < 0 ? [] : this.heard.splice(index, 1)
        if (frame !== undefined) return frame
        await new Promise<void>((resolve) => {
          this.#waiters.push(resolve)
        })
      }
    }
    const onTimeout = (): Error => new Error(`the host sent no ${type}`, { cause: this.#error })
    return await withDeadline(find(), { timeoutMs: FRAME_TIMEOUT_MS, onTimeout })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy()
    if (!this.socket.closed) await once(this.socket, 'close')
  }

  #hear(header: FrameHeader, payload: Buffer): void {
    this.heard.push({ header, payload, bytesBefore: this.#bytes })
    this.#bytes += 12 + header.length
    for (const wake of this.#waiters.splice(0)) wake()
  }
}
