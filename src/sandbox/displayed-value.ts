import { z } from 'zod'
import type { DisplayedValue } from './options.ts'
import type { ProgramError } from './result.ts'

/**
 * Values and errors come from the interpreter that user code shares: they are hostile text. What does not have the right
 * shape is shown as the text it is, never thrown: a program may not end its own run with an exception on the host.
 */

const MIME_TYPE = /^[a-z0-9!#$&^_.+-]{1,127}\/[a-z0-9!#$&^_.+-]{1,127}$/i

const bundle = z.record(z.string(), z.json())
const programError = z.object({ name: z.string(), message: z.string(), traceback: z.string() })

/** Makes a displayed value from the REPL's JSON text: only MIME types become keys; `text` is the `text/plain` form. */
export function parseDisplayedValue(json: string): DisplayedValue {
  const parsed = bundle.safeParse(parseJson(json))
  const value: Record<string, unknown> = Object.create(null)
  for (const [mimeType, data] of Object.entries(parsed.success ? parsed.data : {})) {
    if (MIME_TYPE.test(mimeType)) value[mimeType] = data
  }
  const plain = value['text/plain']
  return typeof plain === 'string' ? { text: plain, ...value } : { ...value }
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
