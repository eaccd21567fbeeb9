// Displayed values: a value becomes a MIME bundle that fits one message.

import { SEND_LIMIT } from './wire.ts'

/** Characters of text/plain that are kept: at most six bytes each in JSON. */
const PLAIN_LIMIT = 65_536

const { Reflect, Symbol } = globalThis
const { entries } = Object
const { inspect } = Bun
const { stringify } = JSON
const byteLength = Buffer.byteLength.bind(Buffer)

/** What notebooks for JavaScript look for: a method that gives a MIME bundle. */
const DISPLAY = Symbol.for('Jupyter.display')

/** The payload of an `O` message. Rich forms that fail or do not fit are left out. */
export async function encodeBundle(value: unknown): Promise<string> {
  const bundle: Record<string, unknown> = { 'text/plain': shorten(inspect(value)) }
  let size = byteLength(stringify(bundle))
  for (const [mime, data] of entries(await richForms(value))) {
    const part = encode(data)
    if (mime === 'text/plain' || part === undefined) continue
    size += byteLength(part) + byteLength(mime) + 8
    if (size > SEND_LIMIT) break
    bundle[mime] = data
  }
  return stringify(bundle)
}

async function richForms(value: unknown): Promise<object> {
  try {
    if (value === null || typeof value !== 'object') return {}
    const method: unknown = Reflect.get(value, DISPLAY)
    if (typeof method !== 'function') return {}
    const forms: unknown = await method.call(value)
    return typeof forms === 'object' && forms !== null ? forms : {}
  } catch {
    return {}
  }
}

function encode(data: unknown): string | undefined {
  try {
    return stringify(data)
  } catch {
    return undefined
  }
}

function shorten(text: string): string {
  if (text.length <= PLAIN_LIMIT) return text
  return `${text.slice(0, PLAIN_LIMIT)}\n[truncated: ${PLAIN_LIMIT} of ${text.length} characters]`
}
