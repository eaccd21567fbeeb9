import { constants } from 'node:os'
import { z } from 'zod'
import { InvalidInputError } from '../../base/index.ts'
import { resolveGuestPath } from '../guest-path.ts'
import { checkEnv } from '../input-checks.ts'
import { limits, type OutputCallback } from '../options.ts'
import { callback, parseOptions, signal } from '../parse-options.ts'

/** Options of both ways to run a command. */
export interface CommandOptions {
  /** Working directory; a relative one is below /home/user. @default '/home/user' */
  readonly cwd?: string
  /** Environment for this command, on top of the sandbox's. @default {} */
  readonly env?: Readonly<Record<string, string>>
  /** Whose rights it has. There is one user, `user` (uid 1000): nothing in a sandbox runs as root. @default 'user' */
  readonly user?: 'user'
  /** Called with output as it arrives; a returned promise slows the program down. */
  readonly onStdout?: OutputCallback
  readonly onStderr?: OutputCallback
  /** Ends the command (SIGINT, SIGTERM, SIGKILL to its process group) and rejects with AbortedError. */
  readonly signal?: AbortSignal
}

/** Options of `commands.run`. */
export interface RunCommandOptions extends CommandOptions {
  /** What the program reads; then its standard input ends. @default nothing: it ends at once */
  readonly stdin?: string | Uint8Array | AsyncIterable<string | Uint8Array>
  /** Milliseconds, 1 000–86 400 000. @default the sandbox's */
  readonly timeoutMs?: number
}

/** Options of `commands.start`. */
export interface StartCommandOptions extends CommandOptions {
  /** Milliseconds, 1 000–86 400 000; 0 = none. @default 0 */
  readonly timeoutMs?: number
}

/** A command after checks. */
export interface ResolvedCommand {
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

/** MAX_ARG_STRLEN of linux/binfmts.h, less the NUL. */
const ARGUMENT_BYTES = 131_071
/** The agent's bound (docs/protocol.md, `exec`). */
const ARGUMENTS = 4_096

const common = {
  cwd: z.string().optional(),
  env: z.unknown().optional(),
  user: z.literal('user').optional(),
  onStdout: callback.optional(),
  onStderr: callback.optional(),
  signal: signal.optional(),
}

const runSchema = z.strictObject({
  ...common,
  stdin: z
    .custom<NonNullable<RunCommandOptions['stdin']>>(isInput, 'expected a string, bytes or an async iterable of them')
    .optional(),
  timeoutMs: limits.timeoutMs.optional(),
})

const startSchema = z.strictObject({ ...common, timeoutMs: z.union([z.literal(0), limits.timeoutMs]).optional() })

function isInput(value: unknown): boolean {
  if (typeof value === 'string' || value instanceof Uint8Array) return true
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

export function checkRunOptions(options: RunCommandOptions): void {
  parseOptions(runSchema, options)
}

export function checkStartOptions(options: StartCommandOptions): void {
  parseOptions(startSchema, options)
}

/**
 * A string runs in bash, an array without a shell.
 * @throws InvalidInputError before anything runs
 */
export function resolveCommand(command: unknown, options: CommandOptions): ResolvedCommand {
  const argv = typeof command === 'string' ? ['/bin/bash', '-c', checkArgument(command)] : checkArgv(command)
  const cwd = resolveGuestPath(options.cwd ?? '.', 'cwd')
  if (!cwd.isWellFormed()) throw new InvalidInputError('cwd: expected a path that is UTF-8', { field: 'cwd' })
  return { argv, cwd, env: checkEnv(options.env, 'env') }
}

function checkArgv(command: unknown): readonly string[] {
  if (!Array.isArray(command) || command.length === 0 || command.length > ARGUMENTS) {
    throw refuse(`Command: expected a string, or an array of 1 to ${ARGUMENTS} strings`)
  }
  const argv = command.map(checkArgument)
  if (argv[0] === '') throw refuse('Command: expected the name of a program, got an empty string')
  return argv
}

function checkArgument(argument: unknown): string {
  if (typeof argument !== 'string') throw refuse(`Command: expected strings, got ${typeof argument}`)
  if (argument.includes('\0')) throw refuse('Command: expected text without NUL characters')
  if (!argument.isWellFormed()) throw refuse('Command: expected well-formed Unicode, got a lone surrogate')
  const bytes = Buffer.byteLength(argument)
  if (bytes <= ARGUMENT_BYTES) return argument
  throw refuse(`Command: expected arguments of at most ${ARGUMENT_BYTES} bytes, got ${bytes}; use stdin or a file`)
}

/**
 * The number of a signal.
 * @throws InvalidInputError unless it is a name of signal(7), or 1–64
 */
export function signalNumber(named: NodeJS.Signals | number): number {
  const number = typeof named === 'number' ? named : constants.signals[named]
  if (Number.isInteger(number) && number >= 1 && number <= 64) return number
  throw new InvalidInputError(`Signal: expected a name such as SIGTERM, or 1–64, got ${JSON.stringify(named)}`, {
    field: 'signal',
  })
}

function refuse(message: string): InvalidInputError {
  return new InvalidInputError(message, { field: 'command' })
}
