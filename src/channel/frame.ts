import { DATA_LIMIT_BYTES, FRAME_RULES, type FrameType, HEADER_BYTES, limitOfFrame, MAGIC } from './wire.ts'

/** What the fixed header of a frame says. */
export interface FrameHeader {
  readonly type: FrameType
  readonly stream: number
  readonly id: number
  /** Bytes of payload. */
  readonly length: number
}

/** The header alone: a DATA payload is written after it as it is, without a copy. */
export function encodeHeader(header: FrameHeader): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES)
  writeHeader(bytes, header)
  return bytes
}

/** A frame whose payload is JSON, in one buffer. */
export function encodeJson(type: FrameType, id: number, body: object): Buffer {
  const text = JSON.stringify(body)
  const length = Buffer.byteLength(text)
  const limit = limitOfFrame(FRAME_RULES[type], id)
  if (length > limit) throw new RangeError(`${type} of ${length} bytes: at most ${limit} are allowed`)
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + length)
  writeHeader(bytes, { type, stream: 0, id, length })
  bytes.write(text, HEADER_BYTES, 'utf8')
  return bytes
}

export function encodeCredit(id: number, stream: number, granted: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + 4)
  writeHeader(bytes, { type: 'CREDIT', stream, id, length: 4 })
  bytes.writeUInt32LE(granted, HEADER_BYTES)
  return bytes
}

/** CANCEL (stream 0) or END: frames without a payload. */
export function encodeEmpty(type: 'CANCEL' | 'END', id: number, stream: number): Buffer {
  return encodeHeader({ type, stream, id, length: 0 })
}

/** A whole DATA frame in one buffer, for payloads so small that a copy is cheaper than a second write. */
export function encodeData(id: number, stream: number, payload: Uint8Array): Buffer {
  const length = payload.byteLength
  if (length === 0 || length > DATA_LIMIT_BYTES) throw new RangeError(`DATA of ${length} bytes`)
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + length)
  writeHeader(bytes, { type: 'DATA', stream, id, length })
  bytes.set(payload, HEADER_BYTES)
  return bytes
}

function writeHeader(bytes: Buffer, { type, stream, id, length }: FrameHeader): void {
  bytes.writeUInt16LE(MAGIC, 0)
  bytes[2] = FRAME_RULES[type].type
  bytes[3] = stream
  bytes.writeUInt32LE(id, 4)
  bytes.writeUInt32LE(length, 8)
}
