import { posix } from 'node:path'
import { InvalidInputError } from '../base/index.ts'

/** Home and working directory of everything a user runs. */
export const HOME = '/home/user'

/** PATH_MAX and NAME_MAX of linux/limits.h. */
const PATH_BYTES = 4_096
const NAME_BYTES = 255

/**
 * Makes a path of the guest absolute: a relative one, and `~`, are below the home directory.
 * @throws InvalidInputError for a path that no file can have
 */
export function resolveGuestPath(path: unknown, field = 'path'): string {
  if (typeof path !== 'string') throw refuse(field, `expected a string, got ${typeof path}`)
  if (path === '') throw refuse(field, 'expected a path, got an empty string')
  if (path.includes('\0')) throw refuse(field, 'expected a path without NUL characters')
  const below = path === '~' ? '.' : path.startsWith('~/') ? `./${path.slice(2)}` : path
  const absolute = posix.resolve(HOME, below)
  const bytes = encodeGuestPath(absolute, field)
  if (bytes.byteLength >= PATH_BYTES) {
    throw refuse(field, `expected at most ${PATH_BYTES - 1} bytes, got ${bytes.byteLength}`)
  }
  for (const name of absolute.split('/')) {
    const length = encodeGuestPath(name, field).byteLength
    if (length > NAME_BYTES) throw refuse(field, `expected names of at most ${NAME_BYTES} bytes, got one of ${length}`)
  }
  return absolute
}

/** Where Python's surrogateescape (PEP 383) puts the bytes 0x80–0xff that are no part of UTF-8. */
const ESCAPED = 0xdc00

/**
 * The bytes of a path. A name that is not UTF-8 has lone surrogates U+DC80–U+DCFF for its odd bytes, as in Python.
 * @throws InvalidInputError for any other lone surrogate
 */
export function encodeGuestPath(path: string, field = 'path'): Buffer {
  if (path.isWellFormed()) return Buffer.from(path)
  const pieces: Buffer[] = []
  for (const character of path) {
    const code = character.codePointAt(0) ?? 0
    const isLone = code >= 0xd800 && code <= 0xdfff
    if (!isLone) pieces.push(Buffer.from(character))
    else if (code >= ESCAPED + 0x80 && code <= ESCAPED + 0xff) pieces.push(Buffer.from([code - ESCAPED]))
    else throw refuse(field, 'expected well-formed Unicode, or U+DC80–U+DCFF for bytes that are not UTF-8')
  }
  return Buffer.concat(pieces)
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The inverse of `encodeGuestPath`. */
export function decodeGuestPath(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes)
  } catch {
    return decodeEscaped(bytes)
  }
}

// Without exceptions: each costs as much as a hundred bytes, and names are the guest's to choose.
function decodeEscaped(bytes: Uint8Array): string {
  let text = ''
  let start = 0
  for (let index = 0; index < bytes.byteLength; ) {
    const length = characterLength(bytes, index)
    if (length > 0) index += length
    else {
      text += strict.decode(bytes.subarray(start, index)) + String.fromCharCode(ESCAPED + (bytes[index] ?? 0))
      index += 1
      start = index
    }
  }
  return text + strict.decode(bytes.subarray(start))
}

/** First bytes of characters, the range of the second byte, and the length (RFC 3629 §4); all further ones are 80–BF. */
const CHARACTERS: readonly (readonly [first: number, last: number, low: number, high: number, length: number])[] = [
  [0xc2, 0xdf, 0x80, 0xbf, 2],
  [0xe0, 0xe0, 0xa0, 0xbf, 3],
  [0xe1, 0xec, 0x80, 0xbf, 3],
  [0xed, 0xed, 0x80, 0x9f, 3],
  [0xee, 0xef, 0x80, 0xbf, 3],
  [0xf0, 0xf0, 0x90, 0xbf, 4],
  [0xf1, 0xf3, 0x80, 0xbf, 4],
  [0xf4, 0xf4, 0x80, 0x8f, 4],
]

/** Bytes of the UTF-8 character that begins at `index`; 0 when none does. */
function characterLength(bytes: Uint8Array, index: number): number {
  const lead = bytes[index] ?? 0
  if (lead < 0x80) return 1
  const form = CHARACTERS.find(([first, last]) => lead >= first && lead <= last)
  if (form === undefined) return 0
  const [, , low, high, length] = form
  const second = bytes[index + 1] ?? 0
  if (second < low || second > high) return 0
  for (let offset = 2; offset < length; offset += 1) if (((bytes[index + offset] ?? 0) & 0xc0) !== 0x80) return 0
  return length
}

function refuse(field: string, what: string): InvalidInputError {
  return new InvalidInputError(`${field}: ${what}`, { field })
}
