// What an error looks like: the text for stderr and the fields of the `X` message of one that ends a program, and the
// text that the console prints for any.

/** Characters kept of each field of an `X` message: at six bytes each in JSON they fit it together. */
const MESSAGE_LIMIT = 16_384
const TRACEBACK_LIMIT = 65_536

/** Errors shown of several. The first ones count; of a program that does not parse the others follow from them. */
const ERRORS_SHOWN = 5

/** Errors within errors: causes of causes, parts of parts. */
const NESTING_SHOWN = 6

export interface Failure {
  readonly name: string
  readonly message: string
  readonly traceback: string
}

const { Error, AggregateError, Array, Math, Object, Reflect, Set, String, Symbol } = globalThis
const { inspect } = Bun
const isNativeError = (Error as unknown as { isError(value: unknown): boolean }).isError
const ownDirectory = import.meta.dir

/** A frame of ours, of the machinery below it, or of the function around the program. */
function isForeign(frame: string): boolean {
  return (
    frame.includes(ownDirectory) ||
    / at (?:runInThisContext|drainMicrotasks|processTicksAndRejections|node:internal)\b/.test(frame)
  )
}

/** Frames that tell nothing: JavaScriptCore gives them to its parser and to functions without a name or a place. */
const EMPTY_FRAME = /^\s+at (?:<parse> \(|unknown$)/

/** The call of the function that REPL mode puts around a program. */
const PROGRAM_CALL = /^\s+at \/home\/user\/input-\d+\.tsx:\d/

export function describeFailure(error: unknown): Failure {
  try {
    if (!isError(error) && !isBuildMessage(error)) {
      const text = inspect(error)
      return limited('Error', text, `Uncaught ${text}\n`)
    }
    const { name, message } = { name: read(error, 'name'), message: read(error, 'message') }
    return limited(typeof name === 'string' ? name : 'Error', String(message), `${describeError(error)}\n`)
  } catch {
    const stack = read(error, 'stack')
    return limited('Error', '', typeof stack === 'string' ? `${stack}\n` : 'Uncaught error that cannot be shown\n')
  }
}

/** A program that Bun's transpiler rejects: a message with its position, or several of them. */
export function describeSyntaxErrors(error: unknown, file: string): Failure {
  const all: unknown[] = error instanceof AggregateError ? error.errors : [error]
  const shown = all.slice(0, ERRORS_SHOWN).map((one) => `${describeSyntaxError(one as BuildMessage, file)}\n`)
  return limited('SyntaxError', String((all[0] as Error).message), shown.join('\n'))
}

/** A program that only JavaScriptCore rejects, which sees the transpiler's text: its lines are the source's. */
export function describeCompileError(error: unknown, file: string, source: string): Failure {
  const { name, message } = error as Error
  const line = Number(/\.tsx:(\d+)/.exec(String(read(error, 'stack')))?.[1] ?? 1)
  const lineText = source.split('\n')[line - 1] ?? ''
  return limited(name, message, `${file}:${line}\n${lineText}\n${name}: ${message}\n`)
}

/**
 * Makes the console show errors by their stack. Bun's own way is an excerpt of the code, which here is the transpiler's
 * and has the functions around the program in it.
 */
export function showErrorsByTheirStack(): void {
  const show = {
    [Symbol.for('nodejs.util.inspect.custom')](this: unknown) {
      return describeError(this)
    },
  }
  const [key] = Object.getOwnPropertySymbols(show) as [keyof typeof show]
  Object.defineProperty(Error.prototype, key, { value: show[key], writable: true, configurable: true })
}

function describeSyntaxError({ message, position }: BuildMessage, file: string): string {
  if (!position) return `${file}\nSyntaxError: ${message}`
  const marker = `${' '.repeat(Math.max(0, position.column - 1))}^`
  return `${file}:${position.line}:${position.column}\n${position.lineText}\n${marker}\nSyntaxError: ${message}`
}

/** Errors that are being described: one may contain itself. */
const active = new Set<unknown>()

function describeError(error: unknown): string {
  if (isBuildMessage(error)) {
    return error.position ? describeSyntaxError(error, error.position.file) : `${error.name}: ${error.message}`
  }
  if (!isError(error)) return inspect(error)
  if (active.has(error)) return '[Circular]'
  if (active.size >= NESTING_SHOWN) return '[Error ...]'
  active.add(error)
  try {
    return `${describeStack(error)}${describeProperties(error)}${describeParts(error)}`
  } finally {
    active.delete(error)
  }
}

function describeStack(error: object): string {
  const stack = read(error, 'stack')
  const lines = typeof stack === 'string' ? stack.split('\n') : []
  const first = lines.findIndex((line) => /^\s+at /.test(line))
  const head = (first < 0 ? lines : lines.slice(0, first)).join('\n')
  const frames = first < 0 ? [] : userFrames(lines.slice(first))
  return [head || `${read(error, 'name')}: ${read(error, 'message')}`, ...frames].join('\n')
}

/** From the first frame of the program's own call stack to the last. */
function userFrames(all: readonly string[]): string[] {
  const frames = all.slice(all.findIndex((frame) => !isForeign(frame)))
  const end = frames.findIndex(isForeign)
  const own = end < 0 ? [...frames] : frames.slice(0, end)
  if (end >= 0 && own.length > 1 && PROGRAM_CALL.test(own.at(-1) ?? '')) own.pop()
  return own.filter((frame) => !EMPTY_FRAME.test(frame))
}

/** What else stands in it: the code of a system error, the fields of a class. */
function describeProperties(error: object): string {
  const keys = Object.keys(error).filter((key) => !/^(?:name|message|stack|cause|errors)$/.test(key))
  if (keys.length === 0) return ''
  return ` ${inspect(Object.fromEntries(keys.map((key) => [key, read(error, key)])))}`
}

function describeParts(error: object): string {
  const errors = error instanceof AggregateError ? read(error, 'errors') : undefined
  let text = ''
  if (Array.isArray(errors)) {
    const shown = errors.slice(0, ERRORS_SHOWN)
    shown.forEach((one, index) => (text += `\nError ${index + 1} of ${errors.length}: ${describeError(one)}`))
  }
  const cause = read(error, 'cause')
  return cause === undefined ? text : `${text}\nCaused by: ${describeError(cause)}`
}

/** Errors of other realms, and what a program made from the prototype of one. */
function isError(value: unknown): value is object {
  try {
    return isNativeError(value) || value instanceof Error
  } catch {
    return false
  }
}

function isBuildMessage(value: unknown): value is BuildMessage {
  try {
    return value instanceof BuildMessage
  } catch {
    return false
  }
}

function read(value: unknown, name: string): unknown {
  try {
    return Reflect.get(value as object, name)
  } catch {
    return undefined
  }
}

function limited(name: string, message: string, traceback: string): Failure {
  return {
    name: name.slice(0, 256),
    message: message.slice(0, MESSAGE_LIMIT),
    traceback: traceback.length > TRACEBACK_LIMIT ? `${traceback.slice(0, TRACEBACK_LIMIT)}\n[truncated]\n` : traceback,
  }
}
