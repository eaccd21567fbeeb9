import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { abortedError, DependencyError, TextRing, throwIfAborted } from '../base/index.ts'
import { installHint } from './tools.ts'

export interface CommandOptions {
  readonly args: readonly string[]
  readonly signal: AbortSignal
  /** @default the current directory */
  readonly cwd?: string | undefined
  /** Complete environment of the command. @default `commandEnvironment()` */
  readonly env?: NodeJS.ProcessEnv | undefined
  /** Called with each line of stdout and stderr as it arrives, without its newline. */
  readonly onLine?: ((line: string) => void) | undefined
  /** Milliseconds until the command is ended as hung. @default 3 600 000: no step of a build takes an hour */
  readonly timeoutMs?: number | undefined
}

export interface CommandOutput {
  /** The whole of stdout, at most `STDOUT_LIMIT`. */
  readonly stdout: string
}

/** A command of the build ended with something else than success. */
export class CommandError extends Error {
  readonly command: string
  readonly exitCode: number | undefined
  /** The last lines it wrote, stdout and stderr together. */
  readonly output: string

  constructor(command: string, how: string, exitCode: number | undefined, output: string) {
    super(`${command} ${how}${output === '' ? '' : `; its last output was:\n${output}`}`)
    this.name = 'CommandError'
    this.command = command
    this.exitCode = exitCode
    this.output = output
  }
}

/** Bytes of stdout that are returned; a command that writes more is ended, for nobody here asks for so much. */
const STDOUT_LIMIT = 16 * 1024 * 1024
/** Bytes of output kept for an error message: a screenful of compiler or apt output. */
const TAIL_LIMIT = 8 * 1024
/** Longest line passed to `onLine`; the rest of a longer one is dropped. */
const LINE_LIMIT = 4096
/** How long a command may clean up after SIGTERM (mmdebstrap removes its temporary root) before SIGKILL. */
const TERMINATE_MS = 10_000
const DEFAULT_TIMEOUT_MS = 3_600_000

/** The environment of build commands: the user's own, with messages and sort order in the plain C locale. */
export function commandEnvironment(additions: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, LC_ALL: 'C.UTF-8', LANGUAGE: '' }
  // Flags of an outer `make` would reach the kernel's own.
  for (const name of ['MAKEFLAGS', 'MFLAGS', 'MAKELEVEL']) delete env[name]
  return { ...env, ...additions }
}

/**
 * Runs a program to its end in a process group of its own. When the signal aborts, the whole group gets SIGTERM and,
 * ten seconds later, SIGKILL; the promise rejects only once the program is gone. If this process dies by any cause, the
 * kernel sends SIGTERM to the program.
 */
export async function runCommand(command: string, options: CommandOptions): Promise<CommandOutput> {
  throwIfAborted(options.signal)
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', command, ...options.args], {
    cwd: options.cwd,
    env: options.env ?? commandEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const output = collectOutput(child, options.onLine)
  const ending = endOnDemand(child, options, output.tooMuch)
  try {
    const { code, signal } = await exitOf(child)
    if (options.signal.aborted) throw abortedError(options.signal)
    // setpriv uses 127 when the program is not there, as a shell does.
    if (code === 127 && output.tail().includes('failed to execute')) throw missingTool(command)
    if (code !== 0 || ending.reason !== undefined) {
      const how = ending.reason ?? (signal === null ? `failed with exit code ${code}` : `was ended by ${signal}`)
      throw new CommandError(command, how, code ?? undefined, output.tail())
    }
    return { stdout: output.stdout() }
  } finally {
    ending.dispose()
    // The leader is gone; whatever it left behind in its group goes with it.
    killGroup(child, 'SIGKILL')
  }
}

function missingTool(command: string): DependencyError {
  const fix = installHint([command])
  return new DependencyError(`${command} is needed to build the image and is not installed. Run: ${fix}`, {
    dependency: command,
    fix,
  })
}

function collectOutput(child: ChildProcess, onLine: CommandOptions['onLine']) {
  const tail = new TextRing(TAIL_LIMIT)
  const chunks: Buffer[] = []
  const tooMuch = new AbortController()
  let size = 0
  child.stdout?.on('data', (chunk: Buffer) => {
    size += chunk.byteLength
    if (size <= STDOUT_LIMIT) chunks.push(chunk)
    else tooMuch.abort()
  })
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue
    stream.on('data', (chunk: Buffer) => tail.push(chunk))
    if (onLine !== undefined) splitLines(stream, onLine)
  }
  return {
    tooMuch: tooMuch.signal,
    stdout: () => Buffer.concat(chunks).toString('utf8'),
    tail: () => tail.text().trim(),
  }
}

function splitLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  const decoder = new TextDecoder()
  let pending = ''
  stream.on('data', (chunk: Buffer) => {
    const lines = (pending + decoder.decode(chunk, { stream: true })).split(/[\r\n]+/)
    pending = (lines.pop() ?? '').slice(0, LINE_LIMIT)
    for (const line of lines) if (line !== '') onLine(line.slice(0, LINE_LIMIT))
  })
  stream.on('end', () => {
    if (pending !== '') onLine(pending)
  })
}

function endOnDemand(child: ChildProcess, options: CommandOptions, tooMuch: AbortSignal) {
  const ending: { reason: string | undefined; dispose: () => void } = { reason: undefined, dispose: () => {} }
  const timers: NodeJS.Timeout[] = []
  const end = (reason?: string): void => {
    ending.reason ??= reason
    killGroup(child, 'SIGTERM')
    timers.push(setTimeout(() => killGroup(child, 'SIGKILL'), TERMINATE_MS))
  }
  const onAbort = (): void => end()
  const onTooMuch = (): void => end(`wrote more than ${STDOUT_LIMIT} bytes`)
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
  timers.push(setTimeout(() => end(`did not end within ${timeoutMs / 1000} seconds`), timeoutMs))
  options.signal.addEventListener('abort', onAbort, { once: true })
  tooMuch.addEventListener('abort', onTooMuch, { once: true })
  ending.dispose = () => {
    for (const timer of timers) clearTimeout(timer)
    options.signal.removeEventListener('abort', onAbort)
  }
  return ending
}

/** Resolves when the program is gone and its pipes are read, or a second after it went if a stray child holds them. */
async function exitOf(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return await new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? missingTool('setpriv') : error)
    })
    child.once('exit', (code, signal) => {
      const straggler = setTimeout(() => {
        child.stdout?.destroy()
        child.stderr?.destroy()
      }, 1000)
      child.once('close', () => {
        clearTimeout(straggler)
        resolve({ code, signal })
      })
    })
  })
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, constants.signals[signal])
  } catch {
    // ESRCH: the group is empty already.
  }
}
