// What an error that ends a program looks like: the text for stderr and the fields of the `X` message.

/** Characters kept of each field of an `X` message: at six bytes each in JSON they fit it together. */
const MESSAGE_LIMIT = 16_384
const TRACEBACK_LIMIT = 65_536

/** Errors shown of a program that does not parse. The first ones count, the others follow from them. */
const SYNTAX_ERRORS_SHOWN = 5

const CAUSES_SHOWN = 5

export interface Failure {
  readonly name: string
  readonly message: string
  readonly traceback: string
}

const { Error, AggregateError, Math, String } = globalThis
const { inspect } = Bun
const ownDirectory = import.meta.dir

/** A frame of ours, of the machinery below it, or of the function around the program. */
function isForeign(frame: string): boolean {
  return (
    frame.includes(ownDirectory) ||
    / at (?:runInThisContext|drainMicrotasks|processTicksAndRejections|node:internal)\b/.test(frame)
  )
}

export function describeFailure(error: unknown, file: string): Failure {
  try {
    if (!(error instanceof Error)) return limited('Error', inspect(error), `Uncaught ${inspect(error)}\n`)
    return limited(error.name, error.message, describeChain(error, file))
  } catch {
    return limited('Error', '', 'Uncaught error that cannot be shown\n')
  }
}

/** A program that Bun's transpiler rejects: a message with its position, or several of them. */
export function describeSyntaxErrors(error: unknown, file: string): Failure {
  const all: unknown[] = error instanceof AggregateError ? error.errors : [error]
  const shown = all.slice(0, SYNTAX_ERRORS_SHOWN).map((one) => describeSyntaxError(one as BuildMessage, file))
  return limited('SyntaxError', String((all[0] as Error).message), shown.join('\n'))
}

function describeSyntaxError({ message, position }: BuildMessage, file: string): string {
  if (!position) return `${file}\nSyntaxError: ${message}\n`
  const marker = `${' '.repeat(Math.max(0, position.column - 1))}^`
  return `${file}:${position.line}:${position.column}\n${position.lineText}\n${marker}\nSyntaxError: ${message}\n`
}

function describeChain(error: Error, file: string): string {
  let text = describeError(error, file)
  let cause = error.cause
  for (let depth = 0; cause !== undefined && depth < CAUSES_SHOWN; depth++) {
    text += `Caused by: ${cause instanceof Error ? describeError(cause, file) : `${inspect(cause)}\n`}`
    cause = cause instanceof Error ? cause.cause : undefined
  }
  return text
}

function describeError(error: Error, file: string): string {
  const stack = typeof error.stack === 'string' ? error.stack : ''
  const lines = stack.split('\n')
  const first = lines.findIndex((line) => /^\s+at /.test(line))
  const head = first < 0 ? stack : lines.slice(0, first).join('\n')
  const frames = first < 0 ? [] : userFrames(lines.slice(first), file)
  return `${[head || `${error.name}: ${error.message}`, ...frames].join('\n')}\n`
}

/** Up to the first frame that is not the program's own call stack. */
function userFrames(frames: readonly string[], file: string): string[] {
  const end = frames.findIndex(isForeign)
  const own = end < 0 ? [...frames] : frames.slice(0, end)
  // The outermost frame is the call of the function that REPL mode puts around the program.
  if (end >= 0 && own.length > 1 && own.at(-1)?.includes(` at ${file}`)) own.pop()
  return own
}

function limited(name: string, message: string, traceback: string): Failure {
  return {
    name: String(name).slice(0, 256),
    message: String(message).slice(0, MESSAGE_LIMIT),
    traceback: traceback.length > TRACEBACK_LIMIT ? `${traceback.slice(0, TRACEBACK_LIMIT)}\n[truncated]\n` : traceback,
  }
}
