import type { Writable } from 'node:stream'

/** What a command may touch: given once, by `main`. */
export interface CliContext {
  readonly env: NodeJS.ProcessEnv
  readonly stdin: NodeJS.ReadStream
  readonly stdout: Writable & { readonly isTTY?: boolean }
  readonly stderr: Writable & { readonly isTTY?: boolean }
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP, and when the output can no longer be written. */
  readonly signal: AbortSignal
  /** From now on SIGINT is the handler's affair and aborts nothing, until the returned function is called. */
  readonly onInterrupt: (handler: () => void) => () => void
  /** Sets the exit code of the process; the highest one set wins, but for that of an interruption. */
  readonly exit: (code: number) => void
}
