import type { FrameHeader } from './frame.ts'
import { violation } from './violation.ts'
import {
  askerOf,
  type FrameRule,
  HEADER_BYTES,
  HIGHEST_STREAM,
  limitOfFrame,
  MAGIC,
  RULES_BY_TYPE,
  type Side,
} from './wire.ts'

/**
 * Where a decoder's frames go. A sink that throws ends the decoding: nothing after that is looked at.
 * The payload of a DATA frame arrives in pieces as it is read: a stream is bytes, so no frame of it is put
 * together first.
 */
export interface FrameSink {
  /** A whole frame that is not DATA. The payload may be a view of the bytes pushed: copy what is kept. */
  frame(header: FrameHeader, payload: Uint8Array): void
  /** The header of a DATA frame, before any of its payload. */
  data(header: FrameHeader): void
  /** The next piece of the DATA frame begun last, at least one byte; a view of the bytes pushed. */
  dataBytes(piece: Uint8Array): void
}

type DecoderState =
  | { readonly kind: 'header' }
  | { readonly kind: 'payload'; readonly header: FrameHeader; readonly bytes: Buffer; filled: number }
  | { readonly kind: 'data'; rest: number }
  | { readonly kind: 'stopped' }

const HEADER_STATE: DecoderState = { kind: 'header' }
const STOPPED: DecoderState = { kind: 'stopped' }
const NO_BYTES = new Uint8Array(0)

/**
 * Cuts the bytes of one sender into frames, whatever pieces they arrive in. Throws `ProtocolError` on the first
 * header that breaks a rule, before its payload is awaited or any memory taken for it.
 */
export class FrameDecoder {
  readonly #sender: Side
  readonly #sink: FrameSink
  readonly #partial = Buffer.alloc(HEADER_BYTES)
  #partialBytes = 0
  #state: DecoderState = HEADER_STATE

  /** @param sender whose frames these are: it decides which types are allowed */
  constructor(sender: Side, sink: FrameSink) {
    this.#sender = sender
    this.#sink = sink
  }

  /** Whether everything pushed so far was whole frames. */
  get atBorder(): boolean {
    return this.#state.kind === 'header' && this.#partialBytes === 0
  }

  /** Ignores what is left of the current chunk and all that follow. */
  stop(): void {
    this.#state = STOPPED
  }

  push(chunk: Buffer): void {
    try {
      let offset = 0
      while (offset < chunk.byteLength) {
        const state = this.#state
        if (state.kind === 'stopped') return
        if (state.kind === 'header') offset = this.#readHeader(chunk, offset)
        else if (state.kind === 'data') offset = this.#readData(state, chunk, offset)
        else offset = this.#readPayload(state, chunk, offset)
      }
    } catch (error) {
      this.stop()
      throw error
    }
  }

  #readHeader(chunk: Buffer, offset: number): number {
    if (this.#partialBytes === 0 && chunk.byteLength - offset >= HEADER_BYTES) {
      return this.#begin(parseHeader(chunk, offset, this.#sender), chunk, offset + HEADER_BYTES)
    }
    const copied = chunk.copy(this.#partial, this.#partialBytes, offset)
    this.#partialBytes += copied
    if (this.#partialBytes < HEADER_BYTES) return offset + copied
    this.#partialBytes = 0
    return this.#begin(parseHeader(this.#partial, 0, this.#sender), chunk, offset + copied)
  }

  /** The header is good: hands over what needs no waiting, and sets the state for the rest. */
  #begin(header: FrameHeader, chunk: Buffer, offset: number): number {
    const { type, length } = header
    if (type === 'DATA') {
      this.#sink.data(header)
      if (this.#state.kind !== 'stopped') this.#state = { kind: 'data', rest: length }
      return offset
    }
    const end = offset + length
    if (length === 0 || end <= chunk.byteLength) {
      this.#sink.frame(header, length === 0 ? NO_BYTES : chunk.subarray(offset, end))
      return end
    }
    // The length has been checked against the limit of its type, so this takes 1 MiB at most, once per channel.
    this.#state = { kind: 'payload', header, bytes: Buffer.allocUnsafeSlow(length), filled: 0 }
    return offset
  }

  #readData(state: { rest: number }, chunk: Buffer, offset: number): number {
    const end = Math.min(offset + state.rest, chunk.byteLength)
    state.rest -= end - offset
    if (state.rest === 0) this.#state = HEADER_STATE
    this.#sink.dataBytes(chunk.subarray(offset, end))
    return end
  }

  #readPayload(state: DecoderState & { kind: 'payload' }, chunk: Buffer, offset: number): number {
    const copied = chunk.copy(state.bytes, state.filled, offset)
    state.filled += copied
    if (state.filled === state.bytes.byteLength) {
      this.#state = HEADER_STATE
      this.#sink.frame(state.header, state.bytes)
    }
    return offset + copied
  }
}

function parseHeader(bytes: Buffer, at: number, sender: Side): FrameHeader {
  const magic = bytes.readUInt16LE(at)
  if (magic !== MAGIC) throw violation('magic', `a frame begins with 0x${magic.toString(16)}`)
  const typeNumber = bytes.readUInt8(at + 2)
  const rule = RULES_BY_TYPE[typeNumber]
  if (rule === undefined) throw violation('type', `there is no frame type ${typeNumber}`)
  const header = {
    type: rule.name,
    stream: bytes.readUInt8(at + 3),
    id: bytes.readUInt32LE(at + 4),
    length: bytes.readUInt32LE(at + 8),
  }
  checkHeader(header, rule, sender)
  return header
}

function checkHeader({ type, stream, id, length }: FrameHeader, rule: FrameRule, sender: Side): void {
  if (!rule.from.includes(sender)) throw violation('direction', `${type} from the ${sender}`)
  if (stream > (rule.streams ? HIGHEST_STREAM : 0)) throw violation('stream', `${type} on stream ${stream}`)
  if (rule.exchange ? id === 0 : id !== 0) throw violation('id', `${type} with id ${id}`)
  if (rule.role !== undefined && (askerOf(id) === sender) !== (rule.role === 'asker')) {
    throw violation('direction', `${type} from the ${sender} under the id ${id}`)
  }
  if (length > limitOfFrame(rule, id) || length < rule.leastBytes) {
    throw violation('length', `${type} of ${length} bytes`)
  }
}
