import { InvalidInputError } from '../base/index.ts'

/** Limits of semantics §4. Sizes are bytes of UTF-8. */
export const INPUT_LIMITS = {
  /** A program; larger ones belong into a file. */
  codeBytes: 1_048_576,
  envEntries: 100,
  envNameBytes: 256,
  envValueBytes: 32_768,
} as const

/**
 * Checks a program and drops a leading byte order mark.
 * @throws InvalidInputError before any VM work
 */
export function checkCode(code: unknown): string {
  if (typeof code !== 'string') throw refuse('code', `Code: expected a string, got ${typeOf(code)}`)
  const text = code.startsWith('\uFEFF') ? code.slice(1) : code
  if (text.trim() === '') throw refuse('code', 'Code: expected a program, got only white space')
  const nul = text.indexOf('\0')
  if (nul !== -1) throw refuse('code', `Code: expected text without NUL characters, got one at index ${nul}`)
  if (!text.isWellFormed()) throw refuse('code', 'Code: expected well-formed Unicode, got a lone surrogate')
  const bytes = Buffer.byteLength(text)
  if (bytes > INPUT_LIMITS.codeBytes) {
    throw refuse(
      'code',
      `Code: expected at most ${INPUT_LIMITS.codeBytes} bytes of UTF-8, got ${bytes}; put larger programs into a file`,
    )
  }
  return text
}

/**
 * Checks environment entries and returns them as a frozen copy without a prototype.
 * @param field name used in errors, e.g. `env`
 * @throws InvalidInputError before any VM work
 */
export function checkEnv(env: unknown, field: string): Readonly<Record<string, string>> {
  const checked: Record<string, string> = Object.create(null)
  if (env === undefined) return Object.freeze(checked)
  if (typeof env !== 'object' || env === null || Array.isArray(env)) {
    throw refuse(field, `${field}: expected an object of strings, got ${typeOf(env)}`)
  }
  const entries = Object.entries(env)
  if (entries.length > INPUT_LIMITS.envEntries) {
    throw refuse(field, `${field}: expected at most ${INPUT_LIMITS.envEntries} entries, got ${entries.length}`)
  }
  for (const [name, value] of entries) {
    checkEnvName(name, field)
    checked[name] = checkEnvValue(name, value, field)
  }
  return Object.freeze(checked)
}

function checkEnvName(name: string, field: string): void {
  const shown = JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}…` : name)
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || name.length > INPUT_LIMITS.envNameBytes) {
    throw refuse(
      `${field}.${name.slice(0, 64)}`,
      `${field}: expected names of letters, digits and "_", not starting with a digit, at most ${INPUT_LIMITS.envNameBytes} long; got ${shown}`,
    )
  }
  const rule = REFUSED_NAMES.find(({ pattern }) => pattern.test(name))
  if (rule !== undefined) throw refuse(`${field}.${name}`, `${field}: ${shown} is refused because it ${rule.why}`)
}

function checkEnvValue(name: string, value: unknown, field: string): string {
  const where = `${field}.${name}`
  if (typeof value !== 'string') throw refuse(where, `${where}: expected a string, got ${typeOf(value)}`)
  // oxlint-disable-next-line no-control-regex
  const control = /[\u0000-\u0008\u000b-\u001f\u007f]/.exec(value)
  if (control !== null) {
    throw refuse(
      where,
      `${where}: expected no control characters but tab and newline, got ${JSON.stringify(control[0])} at index ${control.index}`,
    )
  }
  if (!value.isWellFormed()) throw refuse(where, `${where}: expected well-formed Unicode, got a lone surrogate`)
  const bytes = Buffer.byteLength(value)
  if (bytes > INPUT_LIMITS.envValueBytes) {
    throw refuse(where, `${where}: expected at most ${INPUT_LIMITS.envValueBytes} bytes, got ${bytes}`)
  }
  return value
}

// Names that subvert the dynamic loader or the interpreter before the program's first line runs.
const REFUSED_NAMES: readonly { readonly pattern: RegExp; readonly why: string }[] = [
  { pattern: /^LD_/, why: 'controls the dynamic loader (ld.so(8))' },
  {
    pattern: /^(GLIBC_TUNABLES|GCONV_PATH|LOCPATH|NLSPATH|RESOLV_HOST_CONF|RES_OPTIONS|HOSTALIASES|GETCONF_DIR)$/,
    why: 'changes glibc below every program (ld.so(8))',
  },
  {
    pattern: /^PYTHON(STARTUP|HOME|INSPECT|EXECUTABLE|PLATLIBDIR|BREAKPOINT|USERBASE)$/,
    why: 'changes how the Python interpreter starts',
  },
  {
    pattern: /^(BASH_ENV|ENV|PROMPT_COMMAND|SHELLOPTS|BASHOPTS|BASH_FUNC_.*|BASH_XTRACEFD|PS4|IFS|POSIXLY_CORRECT)$/,
    why: 'changes how the shell starts or parses',
  },
  {
    pattern: /^(NODE_OPTIONS|NODE_REPL_EXTERNAL_MODULE|BUN_.*|JSC_.*)$/,
    why: 'changes how the JavaScript runtime starts',
  },
  { pattern: /^EXEC_SANDBOX_/, why: 'is reserved for exec-sandbox' },
]

function refuse(field: string, message: string): InvalidInputError {
  return new InvalidInputError(message, { field })
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'an array' : typeof value
}
