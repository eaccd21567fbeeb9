// Displayed values: a value becomes a MIME bundle that fits one message.

import { SEND_LIMIT } from './wire.ts'

/** Characters of text/plain that are kept: at most six bytes each in JSON. */
const PLAIN_LIMIT = 65_536

/** Entries of a collection above which only some are inspected, and how many: Bun has such a limit for arrays only. */
const ENTRIES_LIMIT = 1_000
const ENTRIES_SHOWN = 100

const { ArrayBuffer, Buffer, Map, Object, Promise, Reflect, Set, Symbol, Uint8Array } = globalThis
const { inspect } = Bun
const { stringify } = JSON
const byteLength = Buffer.byteLength.bind(Buffer)

/** What notebooks for JavaScript look for: a method that gives a MIME bundle. */
const DISPLAY = Symbol.for('Jupyter.display')

/** The payload of an `O` message; a promise only if the value's own method gave one. */
export function encodeValue(value: unknown): string | Promise<string> {
  const forms = richForms(value)
  return isPromise(forms) ? finish(value, forms) : encodeForms(withPlain(value, forms))
}

/** The same for a value that is a MIME bundle itself. */
export function encodeBundle(bundle: object): string {
  return encodeForms(bundle)
}

async function finish(value: unknown, pending: Promise<unknown>): Promise<string> {
  let forms: unknown
  try {
    forms = await pending
  } catch {
    // Without its rich forms a value is still worth its text.
  }
  return encodeForms(withPlain(value, forms))
}

function withPlain(value: unknown, forms: unknown): object {
  const { 'text/plain': plain, ...others } = copyOf(forms)
  return { __proto__: null, 'text/plain': typeof plain === 'string' ? plain : describe(value), ...others }
}

function copyOf(forms: unknown): Record<string, unknown> {
  try {
    return { ...(forms as object) }
  } catch {
    return {}
  }
}

/** Text is shortened. Other forms that cannot be encoded or do not fit are left out. */
function encodeForms(forms: object): string {
  let text = ''
  let size = 2
  const mimes = Reflect.ownKeys(forms)
  for (let i = 0; i < mimes.length; i++) {
    const mime = mimes[i] as string | symbol
    if (typeof mime === 'symbol') continue
    const part = encodeForm(mime, forms)
    if (part === undefined) continue
    const entry = `${text === '' ? '' : ','}${stringify(mime)}:${part}`
    size += byteLength(entry)
    if (size <= SEND_LIMIT) text += entry
    else size -= byteLength(entry)
  }
  return `{${text}}`
}

function encodeForm(mime: string, forms: object): string | undefined {
  try {
    const data: unknown = Reflect.get(forms, mime)
    if (mime === 'text/plain') return stringify(shorten(`${data as string}`))
    // Bytes, of an image say, are base64 in a MIME bundle.
    if (data instanceof ArrayBuffer) return stringify(base64(new Uint8Array(data)))
    if (ArrayBuffer.isView(data))
      return stringify(base64(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)))
    return stringify(data)
  } catch {
    return undefined
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

function richForms(value: unknown): unknown {
  try {
    if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return undefined
    const method: unknown = Reflect.get(value, DISPLAY)
    return typeof method === 'function' ? Reflect.apply(method, value, []) : undefined
  } catch {
    return undefined
  }
}

/** Safe for every value, a proxy that throws included. */
export function isPromise(value: unknown): value is Promise<unknown> {
  try {
    return value instanceof Promise
  } catch {
    return false
  }
}

/** What the console would print, of a bounded part. Values that refuse are shown by what they say. */
function describe(value: unknown): string {
  try {
    if (typeof value === 'string' && value.length > PLAIN_LIMIT) return describeLongText(value)
    const count = countEntries(value)
    return count > ENTRIES_LIMIT ? describeSome(value as object, count) : inspect(value)
  } catch (error) {
    return `[value that cannot be shown${reason(error)}]`
  }
}

function reason(error: unknown): string {
  try {
    return `: ${String(error)}`
  } catch {
    return ''
  }
}

function describeLongText(text: string): string {
  const shown = inspect(text.slice(0, PLAIN_LIMIT)).slice(0, PLAIN_LIMIT)
  return `${shown}\n[truncated: ${PLAIN_LIMIT} of ${text.length} characters]`
}

/** Entries of a map, a set or a plain object; 0 for anything else. */
function countEntries(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  if (value instanceof Map || value instanceof Set) return value.size
  return Object.getPrototypeOf(value) === Object.prototype ? Object.keys(value).length : 0
}

/** The first entries, with the number of all of them where Bun puts it. */
function describeSome(value: object, count: number): string {
  const note = `  ... ${count - ENTRIES_SHOWN} more entries\n}`
  return inspect(firstEntries(value))
    .replace(/^((?:Map|Set)\()\d+/, `$1${count}`)
    .replace(/\}$/, note)
}

function firstEntries(value: object): object {
  if (value instanceof Set) return new Set(value.values().take(ENTRIES_SHOWN))
  if (value instanceof Map) return new Map(value.entries().take(ENTRIES_SHOWN))
  const keys = Object.keys(value).slice(0, ENTRIES_SHOWN)
  const some = {}
  for (const key of keys) Object.defineProperty(some, key, Object.getOwnPropertyDescriptor(value, key) ?? {})
  return some
}

function shorten(text: string): string {
  // A note about the length may already stand at the end.
  if (text.length <= PLAIN_LIMIT + 100) return text
  return `${text.slice(0, PLAIN_LIMIT)}\n[truncated: ${PLAIN_LIMIT} of ${text.length} characters]`
}
