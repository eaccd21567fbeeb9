import { z } from 'zod'
import { InvalidInputError } from '../base/index.ts'

export const callback = z.custom<(...values: never[]) => void>(
  (value) => typeof value === 'function',
  'expected a function',
)
export const signal = z.custom<AbortSignal>((value) => value instanceof AbortSignal, 'expected an AbortSignal')

/**
 * Checks `options` against a schema.
 * @throws InvalidInputError with the path of the first wrong option and both what was expected and what was given
 */
export function parseOptions(schema: z.ZodType, options: unknown): void {
  const parsed = schema.safeParse(options)
  if (parsed.success) return
  const issue = parsed.error.issues[0]
  const path = issue?.path.join('.') ?? ''
  const field = path === '' ? 'options' : path
  const given = shortly(valueAt(options, issue?.path ?? []))
  const unknown =
    issue?.code === 'unrecognized_keys'
      ? `unknown option ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}`
      : undefined
  throw new InvalidInputError(`${field}: ${unknown ?? `${issue?.message ?? 'invalid'}, got ${given}`}`, {
    field: issue?.code === 'unrecognized_keys' ? (issue.keys[0] ?? field) : field,
  })
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value
  for (const key of path) {
    if (typeof current !== 'object' || current === null) return undefined
    current = Reflect.get(current, key)
  }
  return current
}

function shortly(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object'
  // JSON has no word for NaN and the infinities: it would say null.
  const text =
    typeof value === 'bigint' ? `${value}n` : typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}
