import { z } from 'zod'
import type { DisplayedValue } from './options.ts'
import type { ProgramError } from './result.ts'

/**
 * Values and errors come from the interpreter that user code shares: they are hostile text. What does not have the right
 * shape is shown as the text it is, never thrown: a program may not end its own run with an exception on the host.
 */

const MIME_TYPE = /^[a-z0-9!#$&^_.+-]{1,127}\/[a-z0-9!#$&^_.+-]{1,127}$/i

const programError = z.object({ name: z.string(), message: z.string(), traceback: z.string() })

/** Deeper data would overflow the stack of whoever walks it, JSON.stringify included. */
const DATA_DEPTH = 32

/**
 * Values, arrays and objects that the results of one run consist of. Text costs what it is long, but `{}` is two
 * characters on the wire and some sixty bytes here: without a bound, one run could take gigabytes of the host.
 */
const RUN_NODES = 1_000_000

/** What the results of one run may still consist of. */
export interface ResultRoom {
  nodes: number
}

export function resultRoom(): ResultRoom {
  return { nodes: RUN_NODES }
}

/**
 * Makes a displayed value from the REPL's JSON text: only MIME types become keys; `text` is the `text/plain` form. Forms
 * that nest too deep are left out. Gives nothing, for this value and all later ones, once the run's room is used up.
 */
export function parseDisplayedValue(json: string, room: ResultRoom = resultRoom()): DisplayedValue | undefined {
  if (room.nodes <= 0) return undefined
  const parsed = parseJson(json)
  const forms = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? Object.entries(parsed) : []
  const value: Record<string, unknown> = Object.create(null)
  for (const [mimeType, data] of forms) {
    const fits = takeNodes(data, 1, room)
    if (room.nodes < 0) return undefined
    if (fits && MIME_TYPE.test(mimeType)) value[mimeType] = data
  }
  const plain = value['text/plain']
  return typeof plain === 'string' ? { text: plain, ...value } : { ...value }
}

/**
 * Walks parsed JSON: counts it against the room, takes out `__proto__` keys, and says whether it is nested no deeper than
 * DATA_DEPTH. It looks no further than that and than the room goes.
 */
function takeNodes(data: unknown, depth: number, room: ResultRoom): boolean {
  room.nodes -= 1
  if (typeof data !== 'object' || data === null) return true
  if (depth > DATA_DEPTH) return false
  if (Object.hasOwn(data, '__proto__')) Reflect.deleteProperty(data, '__proto__')
  for (const inner of Object.values(data) as unknown[]) {
    if (room.nodes < 0 || !takeNodes(inner, depth + 1, room)) return false
  }
  return true
}

/** Makes the program's error from the REPL's JSON text. */
export function parseProgramError(json: string): ProgramError {
  const parsed = programError.safeParse(parseJson(json))
  return parsed.success
    ? parsed.data
    : { name: 'Error', message: 'The interpreter reported its error in a form that cannot be read', traceback: json }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
