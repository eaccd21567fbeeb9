import { z } from 'zod'
import { violation } from './violation.ts'
import { GENERATION, GUEST_JSON_DEPTH } from './wire.ts'

/**
 * The one funnel from bytes that the guest calls JSON to plain objects of ours. Everything that comes out has been
 * parsed strictly, is nested no deeper than GUEST_JSON_DEPTH and has no `__proto__` key anywhere, so that no later
 * copy of it can change a prototype.
 */

export type GuestObject = Readonly<Record<string, unknown>>

export interface Hello {
  readonly generation: typeof GENERATION
  /** The agent's version, for people. */
  readonly agent: string
}

export const REFUSAL_CODES = ['bad-request', 'unknown-method', 'spawn', 'internal', 'refused', 'reset'] as const
export type RefusalCode = (typeof REFUSAL_CODES)[number]

/** The guest's word that it did not do what a request asked. */
export interface Refusal {
  readonly code: RefusalCode
  /** For people; hostile text, cut to REFUSAL_CHARACTERS. */
  readonly message: string
}

/** What the guest asks for in an exchange that it begins. */
export interface GuestRequest {
  readonly method: string
  /** To be checked against the schema of the method. */
  readonly params: GuestObject
}

export type ResponseBody =
  | { readonly kind: 'result'; readonly result: GuestObject }
  | { readonly kind: 'error'; readonly error: Refusal }

/** Enough for a path and a reason; the message ends up in an error's text. */
const REFUSAL_CHARACTERS = 2_000

/** An agent's version is a few words. */
const VERSION_CHARACTERS = 200

// fatal: broken UTF-8 throws. ignoreBOM: a byte order mark stays and is then refused by JSON.parse.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const guestObject = z.custom<GuestObject>(isObject, 'expected an object')
const generationSchema = z.object({ generation: z.number() })
const helloSchema = z.object({ generation: z.literal(GENERATION), agent: z.string().max(VERSION_CHARACTERS) })
const responseSchema = z
  .object({
    result: guestObject.optional(),
    error: z
      .object({
        code: z.enum(REFUSAL_CODES),
        message: z.string().transform((text) => text.slice(0, REFUSAL_CHARACTERS)),
      })
      .optional(),
  })
  .refine(({ result, error }) => (result === undefined) !== (error === undefined), 'expected either result or error')
const requestSchema = z.object({ method: z.string(), params: guestObject })
const eventSchema = z.custom<GuestObject & { readonly event: string }>(
  (value) => isObject(value) && typeof value['event'] === 'string',
  'expected an object with the text "event"',
)

export function parseHello(payload: Uint8Array): Hello {
  const body = parseGuestObject(payload, 'HELLO')
  const { generation } = checkGuest(generationSchema, body, 'HELLO')
  if (generation !== GENERATION) {
    throw violation('generation', `its agent speaks generation ${generation}, this host ${GENERATION}`)
  }
  return checkGuest(helloSchema, body, 'HELLO')
}

export function parseResponse(payload: Uint8Array): ResponseBody {
  const { result, error } = checkGuest(responseSchema, parseGuestObject(payload, 'RESPONSE'), 'RESPONSE')
  if (error !== undefined) return { kind: 'error', error }
  return { kind: 'result', result: result ?? {} }
}

export function parseRequest(payload: Uint8Array): GuestRequest {
  return checkGuest(requestSchema, parseGuestObject(payload, 'REQUEST'), 'REQUEST')
}

export function parseEvent(payload: Uint8Array): GuestObject & { readonly event: string } {
  return checkGuest(eventSchema, parseGuestObject(payload, 'EVENT'), 'EVENT')
}

/** Checks a value from the guest against a schema; one that does not fit is a broken protocol. */
export function checkGuest<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const checked = schema.safeParse(value)
  if (checked.success) return checked.data
  const issue = checked.error.issues[0]
  // The path names fields of our schemas, and the message is zod's; neither repeats what the guest said in full.
  const place = issue === undefined ? '' : ` at "${issue.path.map(String).join('.').slice(0, 80)}"`
  throw violation('json', `${what} does not have its fields${place}`, checked.error)
}

function parseGuestObject(payload: Uint8Array, what: string): GuestObject {
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(payload))
  } catch (error) {
    throw violation('json', `${what} is not JSON in UTF-8`, error)
  }
  if (!isObject(value)) throw violation('json', `${what} is not an object`)
  disarm(value, 1, what)
  return value
}

function isObject(value: unknown): value is GuestObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Walks a parsed value: bounds its depth and takes out `__proto__` keys. JSON.parse itself does not recurse. */
function disarm(value: object, depth: number, what: string): void {
  if (depth > GUEST_JSON_DEPTH) throw violation('json', `${what} nests deeper than ${GUEST_JSON_DEPTH}`)
  if (Object.hasOwn(value, '__proto__')) Reflect.deleteProperty(value, '__proto__')
  for (const inner of Object.values(value) as unknown[]) {
    if (typeof inner === 'object' && inner !== null) disarm(inner, depth + 1, what)
  }
}
