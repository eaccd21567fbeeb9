import type { Duplex } from 'node:stream'

/** As much of docs/protocol.md as one conversation needs: no limits, no checks, no deadlines. */

const MAGIC = 0x5358
const HEADER_BYTES = 12
const TYPE = { hello: 1, welcome: 2, request: 3, response: 4, data: 7, credit: 8 } as const
const GENERATION = 1

/** Credit is given back in portions of a quarter of the window, so that the sender never waits for it. */
const CREDIT_PORTION = 65_536

/** What a request gave. */
export interface BareAnswer {
  readonly bytes: number
  /** Output on stdout and stderr, when it was asked for. */
  readonly output: string
  readonly response: unknown
}

interface OpenRequest {
  readonly keep: boolean
  readonly pieces: Buffer[]
  readonly unpaid: Map<number, number>
  bytes: number
  readonly answered: (answer: BareAnswer) => void
}

/** The host's half of a channel, as short as it can be. */
export class BareWire {
  /** Resolves when the guest has said hello; it is welcomed at once. */
  readonly hello: Promise<void>
  readonly #socket: Duplex
  readonly #open = new Map<number, OpenRequest>()
  #nextId = 1
  #held: Buffer = Buffer.alloc(0)
  #greeted: () => void = () => undefined

  constructor(socket: Duplex) {
    this.#socket = socket
    this.hello = new Promise((resolve) => {
      this.#greeted = resolve
    })
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
  }

  /** @param output `keep` to have it as text, `count` to have its length only */
  async request(method: string, params: object, output: 'keep' | 'count'): Promise<BareAnswer> {
    const id = this.#nextId
    this.#nextId += 2
    return await new Promise((answered) => {
      this.#open.set(id, { keep: output === 'keep', pieces: [], unpaid: new Map(), bytes: 0, answered })
      this.#socket.write(frame(TYPE.request, 0, id, Buffer.from(JSON.stringify({ method, params }))))
    })
  }

  #read(chunk: Buffer): void {
    let held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    while (held.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + held.readUInt32LE(8)
      if (held.length < end) break
      this.#take(held.readUInt8(2), held.readUInt8(3), held.readUInt32LE(4), held.subarray(HEADER_BYTES, end))
      held = held.subarray(end)
    }
    this.#held = held
  }

  #take(type: number, stream: number, id: number, payload: Buffer): void {
    if (type === TYPE.hello) {
      this.#socket.write(frame(TYPE.welcome, 0, 0, Buffer.from(JSON.stringify({ generation: GENERATION }))))
      this.#greeted()
    }
    const request = this.#open.get(id)
    if (request === undefined) return
    if (type === TYPE.data) {
      request.bytes += payload.length
      if (request.keep) request.pieces.push(Buffer.from(payload))
      this.#pay(request, stream, id, payload.length)
    } else if (type === TYPE.response) {
      this.#open.delete(id)
      const response: unknown = JSON.parse(payload.toString())
      request.answered({ bytes: request.bytes, output: Buffer.concat(request.pieces).toString(), response })
    }
  }

  #pay(request: OpenRequest, stream: number, id: number, bytes: number): void {
    const unpaid = (request.unpaid.get(stream) ?? 0) + bytes
    request.unpaid.set(stream, unpaid < CREDIT_PORTION ? unpaid : 0)
    if (unpaid < CREDIT_PORTION) return
    const payload = Buffer.alloc(4)
    payload.writeUInt32LE(unpaid)
    this.#socket.write(frame(TYPE.credit, stream, id, payload))
  }
}

function frame(type: number, stream: number, id: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt16LE(MAGIC, 0)
  header.writeUInt8(type, 2)
  header.writeUInt8(stream, 3)
  header.writeUInt32LE(id, 4)
  header.writeUInt32LE(payload.length, 8)
  return Buffer.concat([header, payload])
}
