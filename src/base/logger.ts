/** Levels in order of weight; a logger set to one drops everything lighter. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

/** Where the library writes what it does. Silent unless the user gives one or sets EXEC_SANDBOX_LOG_LEVEL. */
export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

/**
 * A logger with the one line format of the product: `exec-sandbox LEVEL message key=value …`, one line each.
 * @param level lightest level that is written; `silent` writes nothing
 * @param write gets one line without its newline. @default a line to stderr
 */
export function createLogger(level: LogLevel, write: (line: string) => void = writeToStderr): Logger {
  const floor = LOG_LEVELS.indexOf(level)
  const at =
    (name: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (LOG_LEVELS.indexOf(name) >= floor) write(formatLine(name, message, fields))
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** The level that EXEC_SANDBOX_LOG_LEVEL names, `silent` when it is unset, undefined when it names none. */
export function logLevelFrom(environment: Readonly<Record<string, string | undefined>>): LogLevel | undefined {
  const value = environment['EXEC_SANDBOX_LOG_LEVEL']
  if (value === undefined || value === '') return 'silent'
  return LOG_LEVELS.find((level) => level === value.toLowerCase())
}

function formatLine(level: LogLevel, message: string, fields: LogFields): string {
  const tail = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? quoteIfNeeded(value) : String(value)}`)
    .join('')
  return oneLine(`exec-sandbox ${level.toUpperCase()} ${message}${tail}`)
}

function quoteIfNeeded(value: string): string {
  return /^[\w./:@%+,-]+$/.test(value) ? value : JSON.stringify(value)
}

// Text from the guest or from QEMU may reach the log: a line stays one line and sends no escape sequence.
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => {
    return character === '\n' ? '\\n' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

function writeToStderr(line: string): void {
  process.stderr.write(`${line}\n`)
}
