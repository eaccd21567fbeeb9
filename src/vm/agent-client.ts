import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Channel, Exchange } from '../channel/index.ts'

/**
 * The agent's methods (docs/protocol.md, "Methods"), typed. What the guest answers is checked here, once, at the edge.
 */

/** What the agent may take for a control request; it only fails when the guest hangs or is starved. */
const CONTROL_TIMEOUT_MS = 20_000

/** The interpreter may have to be read from a cold disk under emulation. */
const START_TIMEOUT_MS = 45_000

const milliseconds = z.number().min(0).max(1e12)
const bytes = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)

const resumeResult = z.object({ guestMs: milliseconds })
const startResult = z.object({ pid: z.number().int().min(1), spawnMs: milliseconds })
const stopResult = z.object({ stopped: z.boolean() })
const signalResult = z.object({ delivered: z.boolean() })

const END_REASONS = ['exit', 'signal', 'timeout', 'memory', 'cancelled'] as const

const programEnd = z.object({
  exitCode: z.number().int().min(0).max(255),
  reason: z.enum(END_REASONS),
  stdoutTruncated: z.boolean(),
  stderrTruncated: z.boolean(),
  spawnMs: milliseconds,
  executeMs: milliseconds,
  cpuMs: milliseconds,
  peakBytes: bytes,
})

const runResult = programEnd.extend({
  state: z.enum(['kept', 'reset']),
  error: z.string().max(1_048_576).optional(),
})

export type RunEnd = z.infer<typeof runResult>
export type ExecEnd = z.infer<typeof programEnd>

const resultEvent = z.object({ event: z.literal('result'), data: z.string().max(524_288) })
export type ResultEvent = z.infer<typeof resultEvent>

/** Stream numbers of `run` and `exec`. */
export const STREAMS = { stdin: 0, stdout: 1, stderr: 2 } as const

/** At most so many displayed values per run; the agent keeps to it, a guest that does not is broken. */
const MAX_RESULTS = 256

export interface RunRequest {
  readonly language: string
  readonly context: string
  readonly code: string
  readonly env: Readonly<Record<string, string>>
  /** Milliseconds; 0 = none. */
  readonly timeoutMs: number
  readonly stdoutLimit: number
  readonly stderrLimit: number
}

export interface ExecRequest {
  readonly argv: readonly string[]
  readonly cwd?: string
  readonly env: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly stdoutLimit: number
  readonly stderrLimit: number
}

/** What makes a guest this sandbox's and no other's. */
export interface GuestIdentity {
  readonly hostname: string
  /** Environment of every program. */
  readonly env: Readonly<Record<string, string>>
}

/** Hands the guest its clock, entropy, name and environment: the first request on every VM, booted or restored. */
export async function resumeGuest(
  channel: Channel,
  options: GuestIdentity & { readonly signal?: AbortSignal },
): Promise<{ readonly guestMs: number }> {
  return await channel.request(
    'resume',
    {
      unixTimeNs: unixTimeNs().toString(),
      entropy: randomBytes(64).toString('base64'),
      hostname: options.hostname,
      env: options.env,
    },
    { label: 'resume', timeoutMs: CONTROL_TIMEOUT_MS, result: resumeResult, ...withSignal(options.signal) },
  )
}

/**
 * Tells the guest the time once more. The first word of it, in `resume`, takes as long as a clone needs for its first steps,
 * 50 to 100 ms under emulation, and is late by that; this one takes a millisecond.
 */
export async function setClock(channel: Channel): Promise<void> {
  await channel.request(
    'clock',
    { unixTimeNs: unixTimeNs().toString() },
    { label: 'clock', timeoutMs: CONTROL_TIMEOUT_MS, result: resumeResult },
  )
}

/** Asks the agent whether it is there. */
export async function pingGuest(channel: Channel, timeoutMs: number): Promise<void> {
  await channel.request('ping', {}, { label: 'ping', timeoutMs, result: resumeResult })
}

interface Repl {
  readonly language: string
  readonly context: string
  readonly signal?: AbortSignal | undefined
}

/** Starts a REPL and waits until it is ready. */
export async function startRepl(channel: Channel, options: Repl): Promise<{ readonly spawnMs: number }> {
  const { language, context } = options
  return await channel.request(
    'start',
    { language, context },
    { label: `start ${language}`, timeoutMs: START_TIMEOUT_MS, result: startResult, ...withSignal(options.signal) },
  )
}

/** Ends a REPL and waits until its process is dead; false when there was none. */
export async function stopRepl(channel: Channel, options: Repl): Promise<boolean> {
  const { language, context } = options
  const { stopped } = await channel.request(
    'stop',
    { language, context },
    { label: `stop ${language}`, timeoutMs: CONTROL_TIMEOUT_MS, result: stopResult, ...withSignal(options.signal) },
  )
  return stopped
}

/** Runs code in a REPL; the caller reads both streams and awaits the response. */
export function runCode(
  channel: Channel,
  request: RunRequest,
  onResult: (event: ResultEvent) => void,
): Exchange<RunEnd> {
  return channel.exchange('run', request, {
    label: `run ${request.language}`,
    receive: [STREAMS.stdout, STREAMS.stderr],
    event: resultEvent,
    onEvent: onResult,
    maxEvents: MAX_RESULTS,
    result: runResult,
  })
}

export interface ExecOptions {
  /** Called once, with the pid of the program. */
  readonly onStarted?: (pid: number) => void
  /** Ends the program, and rejects everything about it. */
  readonly signal?: AbortSignal | undefined
}

/** Runs a program; the caller writes stdin, reads both streams and awaits the response. */
export function execProgram(channel: Channel, request: ExecRequest, options: ExecOptions = {}): Exchange<ExecEnd> {
  return channel.exchange('exec', request, {
    label: `exec ${request.argv[0] ?? ''}`,
    receive: [STREAMS.stdout, STREAMS.stderr],
    send: [STREAMS.stdin],
    event: z.object({ event: z.literal('started'), pid: z.number().int().min(1) }),
    onEvent: ({ pid }) => options.onStarted?.(pid),
    maxEvents: 1,
    result: programEnd,
    ...withSignal(options.signal),
  })
}

/** Signals the process group of a running `run` or `exec`. */
export async function signalProgram(
  channel: Channel,
  target: number,
  signal: number,
  abort?: AbortSignal,
): Promise<boolean> {
  const { delivered } = await channel.request(
    'signal',
    { target, signal },
    { label: `signal ${signal}`, timeoutMs: CONTROL_TIMEOUT_MS, result: signalResult, ...withSignal(abort) },
  )
  return delivered
}

// Date.now() alone is right to a millisecond, which is all that a clock handed over a socket can be.
function unixTimeNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n
}

function withSignal(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal }
}
