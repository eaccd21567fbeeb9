import { MalformedError } from './byte-cursor.ts'
import { readHelloMessage } from './hello-message.ts'

/** What the first bytes of a connection turned out to be. */
export type ClientOpening =
  | {
      readonly kind: 'tls'
      /** The server name (SNI): a host name in lower case. `undefined`: the client sent none. */
      readonly serverName: string | undefined
      /** The hello carries an encrypted one (ECH, or its grease): `serverName` is the outer, public name. */
      readonly ech: boolean
    }
  | { readonly kind: 'not-tls' }
  | { readonly kind: 'malformed'; readonly why: string }

/** With records' headers. The largest hellos seen (post-quantum key shares, ECH) are below 4 KiB. */
const MAX_OPENING_BYTES = 16_384
/** RFC 8446 §5.1: type, version, length. */
const RECORD_HEADER_BYTES = 5
const MAX_RECORD_BYTES = 16_384
const HANDSHAKE_RECORD = 0x16
/** Major version of all of SSL 3 and TLS. */
const VERSION_MAJOR = 3
/** The records of TLS: change of cipher, alert, handshake, data, heartbeat (RFC 8446 §B.1, RFC 6520). */
const RECORD_TYPES = { first: 0x14, last: 0x18 } as const
/** From this major version on Go's server says that it is no TLS; it takes every one below in the first record. */
const NO_VERSION_MAJOR = 0x10
/** RFC 8446 §4: type and length of a message. */
const MESSAGE_HEADER_BYTES = 4
const CLIENT_HELLO = 1

const NOT_TLS: ClientOpening = Object.freeze({ kind: 'not-tls' })

/**
 * Reads the ClientHello from the first bytes of a connection, however they are cut into chunks and records. The answer
 * depends on the bytes alone and comes with the first byte that settles it. Keeps no more than 16 KiB.
 *
 * Whatever begins like TLS and is not exactly a ClientHello by itself is `malformed`: a message behind it before the server
 * has answered, another record before it or between its pieces, a version that only some servers take for TLS, an SSL 2 hello (which has no server
 * name). Servers differ in what they put up with before a hello (Go's skips warnings); what one of them does is TLS.
 */
export class ClientHelloReader {
  #answer: ClientOpening | undefined
  #taken = 0
  readonly #header = new Uint8Array(RECORD_HEADER_BYTES)
  #headerLength = 0
  #recordLeft = 0
  #firstRecord = true
  #message = new Uint8Array(512)
  #messageLength = 0

  /**
   * Takes the next bytes; the caller keeps them, for they go out later. Bytes behind the answer are not looked at, and
   * further calls repeat the answer. Never throws.
   */
  feed(chunk: Uint8Array): 'more' | ClientOpening {
    for (let offset = 0; offset < chunk.length && this.#answer === undefined; ) {
      if (this.#taken === MAX_OPENING_BYTES) {
        this.#answer = malformed(`the hello is longer than ${MAX_OPENING_BYTES} bytes`)
      } else if (this.#recordLeft === 0) {
        offset += 1
        this.#takeHeaderByte(chunk[offset - 1] ?? 0)
      } else {
        const room = Math.min(this.#recordLeft, MAX_OPENING_BYTES - this.#taken)
        const piece = chunk.subarray(offset, offset + room)
        offset += piece.length
        this.#takePiece(piece)
      }
    }
    return this.#answer ?? 'more'
  }

  /** The client sends no more: what is not settled yet never will be. */
  end(): ClientOpening {
    this.#answer ??= this.#taken === 0 ? NOT_TLS : malformed('the connection ends within the hello')
    return this.#answer
  }

  #takeHeaderByte(byte: number): void {
    this.#header[this.#headerLength] = byte
    this.#headerLength += 1
    this.#taken += 1
    this.#answer = this.#firstRecord ? judgeFirstHeader(this.#header, this.#headerLength) : this.#judgeNextHeader()
    if (this.#answer !== undefined || this.#headerLength < RECORD_HEADER_BYTES) return
    const length = numberAt(this.#header, 3, 2)
    if (length === 0) this.#answer = malformed('a record is empty')
    else if (length > MAX_RECORD_BYTES) this.#answer = malformed('a record is too long')
    this.#recordLeft = length
    this.#headerLength = 0
    this.#firstRecord = false
  }

  #judgeNextHeader(): ClientOpening | undefined {
    const expected = [HANDSHAKE_RECORD, VERSION_MAJOR][this.#headerLength - 1]
    return expected === undefined || this.#header[this.#headerLength - 1] === expected
      ? undefined
      : malformed('the hello is interrupted by something else')
  }

  #takePiece(piece: Uint8Array): void {
    this.#reserve(this.#messageLength + piece.length)
    this.#message.set(piece, this.#messageLength)
    this.#messageLength += piece.length
    this.#recordLeft -= piece.length
    this.#taken += piece.length
    this.#answer = this.#judgeMessage()
  }

  #judgeMessage(): ClientOpening | undefined {
    if (this.#message[0] !== CLIENT_HELLO) return malformed('the first message is no ClientHello')
    if (this.#messageLength < MESSAGE_HEADER_BYTES) return undefined
    const end = MESSAGE_HEADER_BYTES + numberAt(this.#message, 1, 3)
    if (end > MAX_OPENING_BYTES - RECORD_HEADER_BYTES) {
      return malformed(`the hello is longer than ${MAX_OPENING_BYTES} bytes`)
    }
    if (this.#messageLength < end) return undefined
    if (this.#messageLength + this.#recordLeft > end) return malformed('the hello is followed by another message')
    try {
      return { kind: 'tls', ...readHelloMessage(this.#message.subarray(MESSAGE_HEADER_BYTES, end)) }
    } catch (error) {
      if (error instanceof MalformedError) return malformed(error.message)
      throw error
    }
  }

  /** Doubled, so that a client that sends single bytes costs no more than one that does not. */
  #reserve(length: number): void {
    if (length <= this.#message.length) return
    const larger = new Uint8Array(Math.max(length, 2 * this.#message.length))
    larger.set(this.#message.subarray(0, this.#messageLength))
    this.#message = larger
  }
}

/** The highest bit of the first byte is that of an SSL 2 record's length (RFC 5246 §E.2). */
const SSL2_LENGTH_BIT = 0x80

function isRecordType(byte: number | undefined): boolean {
  return byte !== undefined && byte >= RECORD_TYPES.first && byte <= RECORD_TYPES.last
}

/** Whether bytes that were cut short may be another protocol's: all but those that begin a record of TLS. */
export function mayBeOtherProtocol(bytes: Uint8Array): boolean {
  return bytes.byteLength < RECORD_HEADER_BYTES && !isRecordType(bytes[0])
}

/** Settles as early as possible whether this is TLS at all: a program may wait for an answer to very few bytes. */
function judgeFirstHeader(header: Uint8Array, length: number): ClientOpening | undefined {
  const newest = header[length - 1]
  const isSsl2 = (header[0] ?? 0) >= SSL2_LENGTH_BIT
  switch (length) {
    case 1:
      return isSsl2 || isRecordType(newest) ? undefined : NOT_TLS
    case 2:
      if (isSsl2 || (header[0] === HANDSHAKE_RECORD && newest === VERSION_MAJOR)) return undefined
      return (newest ?? 0) < NO_VERSION_MAJOR
        ? malformed('it begins with a TLS record that is no ClientHello')
        : NOT_TLS
    case 3:
      return !isSsl2 || newest === CLIENT_HELLO ? undefined : NOT_TLS
    case 4:
      if (!isSsl2 || newest === 0) return undefined
      return newest === VERSION_MAJOR ? malformed('an SSL 2 hello') : NOT_TLS
    default:
      if (!isSsl2) return undefined
      return newest === 2 ? malformed('an SSL 2 hello') : NOT_TLS
  }
}

function numberAt(bytes: Uint8Array, offset: number, width: number): number {
  return bytes.subarray(offset, offset + width).reduce((value, byte) => value * 256 + byte, 0)
}

function malformed(why: string): ClientOpening {
  return { kind: 'malformed', why }
}
