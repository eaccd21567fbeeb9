import type { Duplex } from 'node:stream'

/** As much of docs/protocol.md as one conversation needs: no limits, no checks, no deadlines. */

const MAGIC = 0x5358
const HEADER_BYTES = 12
const TYPE = { hello: 1, welcome: 2, request: 3, response: 4, data: 7, credit: 8, end: 9 } as const
const GENERATION = 1
/** The stream that a program reads. */
const STDIN = 0
const WINDOW_BYTES = 262_144
const LARGEST_DATA = 65_536

/** Credit is given back in portions of a quarter of the window, so that the sender never waits for it. */
const CREDIT_PORTION = WINDOW_BYTES / 4

/** A request, and what becomes of its streams. */
export interface BareRequest {
  readonly method: string
  readonly params: object
  /** Content of stdin; it ends behind it. @default none, and no end */
  readonly input?: Uint8Array
  /** `count` counts the bytes of the output and drops them. @default 'keep' */
  readonly output?: 'keep' | 'count' | undefined
}

/** What a request gave. */
export interface BareAnswer {
  readonly bytes: number
  /** Output on stdout and stderr, when it was asked for. */
  readonly output: string
  readonly response: unknown
}

interface OpenRequest {
  readonly id: number
  readonly keep: boolean
  readonly pieces: Buffer[]
  readonly unpaid: Map<number, number>
  bytes: number
  /** What of the input has not been sent. */
  input: Uint8Array | undefined
  credit: number
  readonly answered: (answer: BareAnswer) => void
}

/** A DATA frame that is being read. */
interface OpenData {
  readonly request: OpenRequest | undefined
  readonly stream: number
  /** Bytes that are still to come. */
  rest: number
}

/** The host's half of a channel, as short as it can be. */
export class BareWire {
  /** Resolves when the guest has said hello; it is welcomed at once. */
  readonly hello: Promise<void>
  readonly #socket: Duplex
  readonly #open = new Map<number, OpenRequest>()
  #nextId = 1
  #held: Buffer = Buffer.alloc(0)
  #data: OpenData | undefined
  #greeted: () => void = () => undefined

  constructor(socket: Duplex) {
    this.#socket = socket
    this.hello = new Promise((resolve) => {
      this.#greeted = resolve
    })
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('drain', () => {
      for (const request of this.#open.values()) this.#feed(request)
    })
  }

  async request({ method, params, input, output = 'keep' }: BareRequest): Promise<BareAnswer> {
    const id = this.#nextId
    this.#nextId += 2
    return await new Promise((answered) => {
      const [keep, pieces, unpaid] = [output === 'keep', [], new Map<number, number>()]
      const request = { id, keep, pieces, unpaid, bytes: 0, input, credit: WINDOW_BYTES, answered }
      this.#open.set(id, request)
      const body = Buffer.from(JSON.stringify({ method, params }))
      this.#socket.write(Buffer.concat([header(TYPE.request, 0, id, body.length), body]))
      this.#feed(request)
    })
  }

  /** Sends as much of the input as the guest has room for. */
  #feed(request: OpenRequest): void {
    const socket = this.#socket
    socket.cork()
    while (request.input !== undefined && !socket.writableNeedDrain) {
      const piece = request.input.subarray(0, Math.min(request.credit, LARGEST_DATA))
      if (piece.length > 0) {
        socket.write(header(TYPE.data, STDIN, request.id, piece.length))
        socket.write(piece)
        request.credit -= piece.length
        request.input = request.input.subarray(piece.length)
      }
      if (request.input.length > 0) {
        if (request.credit === 0) break
        continue
      }
      socket.write(header(TYPE.end, STDIN, request.id, 0))
      request.input = undefined
    }
    socket.uncork()
  }

  #read(chunk: Buffer): void {
    let held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    for (;;) {
      if (this.#data !== undefined) held = this.#takeData(this.#data, held)
      if (held.length < HEADER_BYTES) break
      const [type, stream, id] = [held.readUInt8(2), held.readUInt8(3), held.readUInt32LE(4)]
      const length = held.readUInt32LE(8)
      if (type === TYPE.data) {
        this.#data = { request: this.#open.get(id), stream, rest: length }
        held = held.subarray(HEADER_BYTES)
        continue
      }
      const end = HEADER_BYTES + length
      if (held.length < end) break
      this.#take(type, id, held.subarray(HEADER_BYTES, end))
      held = held.subarray(end)
    }
    this.#held = held
  }

  /** Takes what there is of a DATA frame, and gives what comes after it. */
  #takeData(data: OpenData, held: Buffer): Buffer {
    const piece = held.subarray(0, data.rest)
    data.rest -= piece.length
    const { request, stream } = data
    if (data.rest === 0) this.#data = undefined
    if (request !== undefined) {
      request.bytes += piece.length
      if (request.keep) request.pieces.push(Buffer.from(piece))
      this.#pay(request, stream, piece.length)
    }
    return held.subarray(piece.length)
  }

  #take(type: number, id: number, payload: Buffer): void {
    if (type === TYPE.hello) {
      const body = Buffer.from(JSON.stringify({ generation: GENERATION }))
      this.#socket.write(Buffer.concat([header(TYPE.welcome, 0, 0, body.length), body]))
      this.#greeted()
    }
    const request = this.#open.get(id)
    if (request === undefined) return
    if (type === TYPE.credit) {
      request.credit += payload.readUInt32LE(0)
      this.#feed(request)
    } else if (type === TYPE.response) {
      this.#open.delete(id)
      const response: unknown = JSON.parse(payload.toString())
      request.answered({ bytes: request.bytes, output: Buffer.concat(request.pieces).toString(), response })
    }
  }

  #pay(request: OpenRequest, stream: number, bytes: number): void {
    const unpaid = (request.unpaid.get(stream) ?? 0) + bytes
    request.unpaid.set(stream, unpaid < CREDIT_PORTION ? unpaid : 0)
    if (unpaid < CREDIT_PORTION) return
    const payload = Buffer.alloc(4)
    payload.writeUInt32LE(unpaid)
    this.#socket.write(Buffer.concat([header(TYPE.credit, stream, request.id, payload.length), payload]))
  }
}

function header(type: number, stream: number, id: number, length: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes.writeUInt16LE(MAGIC, 0)
  bytes.writeUInt8(type, 2)
  bytes.writeUInt8(stream, 3)
  bytes.writeUInt32LE(id, 4)
  bytes.writeUInt32LE(length, 8)
  return bytes
}
