/**
 * The numbers of the wire format (docs/protocol.md). The tests compare each of them with
 * guest/wire/vectors.json, which the agent's tests read too.
 */

/** Covers the frames and the fields of all methods; host and agent of different generations part at once. */
export const GENERATION = 2

/** "XS", read as a little-endian u16: a reader that is out of step sees it at once. */
export const MAGIC = 0x5358

/** magic u16, type u8, stream u8, id u32, length u32. */
export const HEADER_BYTES = 12

/** Streams of an exchange are numbered 0 to 15. */
export const HIGHEST_STREAM = 15

/** Ids are u32: the host begins exchanges under odd ones, the guest under even ones; each is used once. */
export const HIGHEST_ID = 0xffff_ffff

/** What the receiver of each stream has granted when an exchange opens: four of the largest DATA frames. */
export const INITIAL_CREDIT_BYTES = 262_144

/** A sender never holds more credit than fits a signed 32-bit number. */
export const HIGHEST_CREDIT_BYTES = 0x7fff_ffff

/** The largest payload of one DATA frame. */
export const DATA_LIMIT_BYTES = 65_536

/** The largest REQUEST: a program of 1 MiB whose every byte needs a six-character JSON escape, and its environment. */
export const REQUEST_LIMIT_BYTES = 16_777_216

/** The largest REQUEST, EVENT and RESPONSE of an exchange that the guest begins: an address, or the addresses of a name. */
export const EVEN_JSON_LIMIT_BYTES = 4_096

/** Exchanges that the guest may have begun and not heard the end of; its agent limits itself to far fewer. */
export const MOST_EVEN_EXCHANGES = 1_024

/** JSON from the guest nests at most this deep; what methods carry is flat, so this is ample. */
export const GUEST_JSON_DEPTH = 32

export type Side = 'host' | 'guest'

export type FrameType = 'HELLO' | 'WELCOME' | 'REQUEST' | 'RESPONSE' | 'EVENT' | 'CANCEL' | 'DATA' | 'CREDIT' | 'END'

export type ExchangeRole = 'asker' | 'answerer'

export interface FrameRule {
  readonly name: FrameType
  /** The number in the header. */
  readonly type: number
  /** Who may ever send it. */
  readonly from: readonly Side[]
  /** Which of both sides of an exchange sends it, if not both. The asker began it. */
  readonly role?: ExchangeRole | undefined
  readonly leastBytes: number
  /** Under an even id JSON is shorter: see `limitOfFrame`. */
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
  place: { readonly streams?: boolean; readonly exchange?: boolean; readonly role?: ExchangeRole } = {},
): FrameRule {
  const { streams = false, exchange = true, role } = place
  return { name, type, from, role, leastBytes: bytes[0], limitBytes: bytes[1], streams, exchange }
}

export const FRAME_RULES: Readonly<Record<FrameType, FrameRule>> = {
  HELLO: rule('HELLO', 1, GUEST, [0, 4_096], { exchange: false }),
  WELCOME: rule('WELCOME', 2, HOST, [0, 4_096], { exchange: false }),
  REQUEST: rule('REQUEST', 3, BOTH, [0, REQUEST_LIMIT_BYTES], { role: 'asker' }),
  RESPONSE: rule('RESPONSE', 4, BOTH, [0, 1_048_576], { role: 'answerer' }),
  EVENT: rule('EVENT', 5, BOTH, [0, 1_048_576], { role: 'answerer' }),
  CANCEL: rule('CANCEL', 6, BOTH, [0, 0], { role: 'asker' }),
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

/** Who began the exchange with this id. */
export function askerOf(id: number): Side {
  return id % 2 === 1 ? 'host' : 'guest'
}

/** The most bytes of payload that a frame of this type may have under this id. */
export function limitOfFrame({ role, limitBytes }: FrameRule, id: number): number {
  const small = role !== undefined && askerOf(id) === 'guest'
  return small ? Math.min(limitBytes, EVEN_JSON_LIMIT_BYTES) : limitBytes
}
