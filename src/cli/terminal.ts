import type { Writable } from 'node:stream'
import { BootError, errnoOf, EXIT_CODES, SandboxError, VmLostError } from '../base/index.ts'

/** Exit code when the tool itself failed for a reason that is not one of its own errors. */
export const FAILURE = 125

/** 128 + SIGPIPE: what a program exits with whose reader has left. */
const BROKEN_PIPE = 141

/** Lines of boot log and stderr shown with an error; `--debug` shows everything. */
const TAIL_LINES = 15

/** Characters shown of each of them. */
const LINE_CHARACTERS = 500

/** What an error says on the terminal: the message, how to mend it, and the last words of the VM. */
export function explainError(error: unknown): string {
  // The stream itself tells `main`, which says it once.
  if (error instanceof OutputError) return ''
  if (!isSandboxError(error)) {
    const text = `sbx: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
    return `${text.split('\n').map(printable).join('\n')}\n`
  }
  const lines = `sbx: ${error.message}`.split('\n').map(printable)
  const details: Readonly<Record<string, unknown>> = { ...error.details }
  const fix = details['fix']
  if (typeof fix === 'string' && !error.message.includes(fix)) lines.push(`sbx: to mend it: ${fix}`)
  if (error instanceof BootError || error instanceof VmLostError) {
    lines.push(...quoted('boot log', details['bootLog']), ...quoted('QEMU', details['stderr']))
  }
  return `${lines.join('\n')}\n`
}

/** The exit code of an error that ended the command. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof OutputError) return outputExitCode(error.cause)
  return isSandboxError(error) ? EXIT_CODES[error.code] : FAILURE
}

/** The exit code of a command whose output cannot be written. */
export function outputExitCode(error: unknown): number {
  return errnoOf(error) === 'EPIPE' ? BROKEN_PIPE : FAILURE
}

/** stdout or stderr can no longer be written. */
class OutputError extends Error {}

// `instanceof` alone leaves the type parameter open.
function isSandboxError(error: unknown): error is SandboxError {
  return error instanceof SandboxError
}

/** Writes and waits until the stream wants more: a slow terminal or pipe slows the program down. */
export async function writeAll(stream: Writable, chunk: Uint8Array | string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(chunk, (error) => (error ? reject(new OutputError(error.message, { cause: error })) : resolve()))
  })
}

function quoted(label: string, text: unknown): readonly string[] {
  if (typeof text !== 'string' || text.trim() === '') return []
  const lines = text.trimEnd().split('\n').slice(-TAIL_LINES)
  return lines.map((line) => `  ${label} | ${printable(line).slice(0, LINE_CHARACTERS)}`)
}

/** Text from the guest or from QEMU, one line: it may not move the cursor, change the terminal or turn the direction of what follows. */
export function printable(line: string): string {
  // oxlint-disable-next-line no-control-regex
  return line.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '·')
}
