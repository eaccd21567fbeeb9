/**
 * The numbers of the wire format (docs/protocol.md). The tests compare each of them with
 * guest/wire/vectors.json, which the agent's tests read too.
 */

/** Covers the frames and the fields of all methods; host and agent of different generations part at once. */
export const GENERATION = 1

/** "XS", read as a little-endian u16: a reader that is out of step sees it at once. */
export const MAGIC = 0x5358

/** magic u16, type u8, stream u8, id u32, length u32. */
export const HEADER_BYTES = 12

/** Streams of an exchange are numbered 0 to 15. */
export const HIGHEST_STREAM = 15

/** Ids are u32; the host uses each odd one once. */
export const HIGHEST_ID = 0xffff_ffff

/** What the receiver of each stream has granted when an exchange opens: four of the largest DATA frames. */
export const INITIAL_CREDIT_BYTES = 262_144

/** A sender never holds more credit than fits a signed 32-bit number. */
export const HIGHEST_CREDIT_BYTES = 0x7fff_ffff

/** The largest payload of one DATA frame. */
export const DATA_LIMIT_BYTES = 65_536

/** The largest REQUEST: a program of 1 MiB whose every byte needs a six-character JSON escape, and its environment. */
export const REQUEST_LIMIT_BYTES = 16_777_216

/** JSON from the guest nests at most this deep; what methods carry is flat, so this is ample. */
export const GUEST_JSON_DEPTH = 32

export type Side = 'host' | 'guest'

export type FrameType = 'HELLO' | 'WELCOME' | 'REQUEST' | 'RESPONSE' | 'EVENT' | 'CANCEL' | 'DATA' | 'CREDIT' | 'END'

export interface FrameRule {
  readonly name: FrameType
  /** The number in the header. */
  readonly type: number
  /** Who may send it. */
  readonly from: readonly Side[]
  readonly leastBytes: number
  readonly limitBytes: number
  /** Whether the header names a stream; otherwise that byte is 0. */
  readonly streams: boolean
  /** Whether the frame belongs to an exchange; otherwise its id is 0. */
  readonly exchange: boolean
}

const BOTH: readonly Side[] = ['host', 'guest']
const HOST: readonly Side[] = ['host']
const GUEST: readonly Side[] = ['guest']

function rule(
  name: FrameType,
  type: number,
  from: readonly Side[],
  bytes: readonly [least: number, limit: number],
  place: { readonly streams?: boolean; readonly exchange?: boolean } = {},
): FrameRule {
  const { streams = false, exchange = true } = place
  return { name, type, from, leastBytes: bytes[0], limitBytes: bytes[1], streams, exchange }
}

export const FRAME_RULES: Readonly<Record<FrameType, FrameRule>> = {
  HELLO: rule('HELLO', 1, GUEST, [0, 4_096], { exchange: false }),
  WELCOME: rule('WELCOME', 2, HOST, [0, 4_096], { exchange: false }),
  REQUEST: rule('REQUEST', 3, HOST, [0, REQUEST_LIMIT_BYTES]),
  RESPONSE: rule('RESPONSE', 4, GUEST, [0, 1_048_576]),
  EVENT: rule('EVENT', 5, GUEST, [0, 1_048_576]),
  CANCEL: rule('CANCEL', 6, HOST, [0, 0]),
  DATA: rule('DATA', 7, BOTH, [1, DATA_LIMIT_BYTES], { streams: true }),
  CREDIT: rule('CREDIT', 8, BOTH, [4, 4], { streams: true }),
  END: rule('END', 9, BOTH, [0, 0], { streams: true }),
}

/** The rule of each type number; undefined for numbers that are no type. */
export const RULES_BY_TYPE: readonly (FrameRule | undefined)[] = Object.values(FRAME_RULES).reduce<
  (FrameRule | undefined)[]
>((rules, each) => {
  rules[each.type] = each
  return rules
}, [])
