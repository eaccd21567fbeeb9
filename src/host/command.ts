import { spawn } from 'node:child_process'
import { TextRing } from '../base/index.ts'

/** What a short command of the host did. */
export interface CommandOutcome {
  /** Exit code; undefined when a signal ended it or it never started. */
  readonly code: number | undefined
  readonly signal: NodeJS.Signals | undefined
  readonly stdout: string
  readonly stderr: string
  /** errno name when it could not be started, e.g. ENOENT. */
  readonly startError: string | undefined
  readonly timedOut: boolean
}

/** Bytes kept of each output: these commands print a line or two. */
const OUTPUT_LIMIT = 65_536

/** Runs a short command of the host to its end, or kills it after `timeoutMs`. Never throws. */
export async function runCommand(
  file: string,
  argv: readonly string[],
  options: { readonly timeoutMs: number; readonly env?: NodeJS.ProcessEnv },
): Promise<CommandOutcome> {
  const child = spawn(file, argv, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.env === undefined ? {} : { env: options.env }),
  })
  const stdout = new TextRing(OUTPUT_LIMIT)
  const stderr = new TextRing(OUTPUT_LIMIT)
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    child.kill('SIGKILL')
  }, options.timeoutMs)
  return await new Promise((resolve) => {
    const finish = (code: number | null, signal: NodeJS.Signals | null, startError?: string): void => {
      clearTimeout(timer)
      resolve({
        code: code ?? undefined,
        signal: signal ?? undefined,
        stdout: stdout.text(),
        stderr: stderr.text(),
        startError,
        timedOut,
      })
    }
    child.once('error', (error: NodeJS.ErrnoException) => finish(null, null, error.code ?? error.message))
    child.once('close', finish)
  })
}
