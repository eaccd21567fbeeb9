import type { FileError } from '../base/index.ts'
import type { UsageBounds } from '../vm/index.ts'
import type { TreeCopy } from './files/host-tree.ts'
import type { DisplayedValue } from './options.ts'
import type { ExposedPort } from './ports/port-options.ts'
import type { ProgramOutcome } from './program-call.ts'

/**
 * How the VM of a run came to be: handed out of a warm pool; resumed from a template that had been loaded ahead, or that
 * was loaded from the disk; or booted.
 */
export const SOURCES = ['pool', 'memory-snapshot', 'disk-snapshot', 'cold-boot'] as const
export type Source = (typeof SOURCES)[number]

/** Why a program ended; never guessed from its exit code. */
export type EndReason = 'exit' | 'signal' | 'timeout' | 'memory'

/** Measured milliseconds of each phase that took place; a phase that did not is absent, never 0 by decree. */
export interface Timing {
  /** Finding the installed packages, or installing them; only in the result of a one-shot run. */
  readonly packagesMs?: number
  /** Waiting for room on this host. */
  readonly admissionMs?: number
  /** Starting QEMU until it answers. */
  readonly setupMs?: number
  /** From QEMU's start of the guest until the agent said hello. */
  readonly bootMs?: number
  /** Loading the state of a template and letting the guest go on. */
  readonly restoreMs?: number
  /** Handing clock, entropy and environment to the guest. */
  readonly connectMs?: number
  /** Starting the interpreter. */
  readonly spawnMs?: number
  /** From handing the program over until its end was reported. */
  readonly executeMs: number
  /** Writing the files of the options; only in the result of a one-shot run. */
  readonly uploadMs?: number
  /** Copying files to the host after the program; only in the result of a one-shot run. */
  readonly downloadMs?: number
  /** Ending the VM; only in the result of a one-shot run. */
  readonly teardownMs?: number
  /** From the call to its result. */
  readonly totalMs: number
}

export interface Usage {
  /** CPU milliseconds of the interpreter and the children it waited for. */
  readonly guestCpuMs: number
  /** Peak resident bytes of the interpreter. */
  readonly guestPeakBytes: number
  /** CPU milliseconds of the VM's process on the host during the call, with whatever else ran in the VM. Absent where the host does not tell. */
  readonly hostCpuMs?: number
  /** Peak resident bytes of the VM on the host since it was started: what it was resumed from counts once it was read. Absent where the host does not tell. */
  readonly hostPeakBytes?: number
}

/** The uncaught error that ended a program, as its interpreter reported it. */
export interface ProgramError {
  readonly name: string
  readonly message: string
  readonly traceback: string
}

/** What a program gives. One that fails is a result, not an exception. */
export interface ProgramResult {
  readonly stdout: string
  readonly stderr: string
  /** stdout was longer than 1 000 000 bytes; the rest was dropped. */
  readonly stdoutTruncated: boolean
  /** stderr was longer than 100 000 bytes; the rest was dropped. */
  readonly stderrTruncated: boolean
  /** 0–255; 128+n for signal n, 124 for a time-out, 137 for memory. */
  readonly exitCode: number
  readonly reason: EndReason
  readonly source: Source
  readonly timing: Timing
  readonly usage: Usage
}

/** What a run of code in an interpreter gives. */
export interface RunResult extends ProgramResult {
  /** `reset` when the session's state did not survive the run, or had been lost before it. */
  readonly state: 'kept' | 'reset'
  /** Values displayed by the program: its last expression, `display(…)`. */
  readonly results: readonly DisplayedValue[]
  readonly error?: ProgramError
}

/** A copy of `RunOptions.downloads`: what was copied, or why it could not be. */
export interface Download {
  /** In the guest, as it was asked for. */
  readonly path: string
  readonly hostPath: string
  readonly copy?: TreeCopy
  readonly error?: FileError
}

/** What a one-shot run gives. */
export interface OneShotResult extends RunResult {
  /** In the order in which they were asked for. */
  readonly downloads: readonly Download[]
  /** The ports that were exposed while it ran. */
  readonly ports: readonly ExposedPort[]
}

/** Bytes of output passed on per stream (semantics §2). */
export const OUTPUT_LIMITS = { stdout: 1_000_000, stderr: 100_000 } as const

/** How a program came to run, by the host's own account. */
export interface ProgramOrigin {
  readonly source: Source
  /** When the call came, by `performance.now()`. */
  readonly startedAt: number
  readonly mostUsage: UsageBounds
}

/** Numbers that the guest tells are cut to what they can be: no time is longer than the call, no usage more than the VM has. */
export function programResult(outcome: ProgramOutcome, origin: ProgramOrigin): ProgramResult {
  const { source, startedAt, mostUsage } = origin
  const totalMs = performance.now() - startedAt
  const { end, host, reason, stdout, stderr, stdoutTruncated, stderrTruncated } = outcome
  return {
    stdout,
    stderr,
    stdoutTruncated,
    stderrTruncated,
    exitCode: end.exitCode,
    reason,
    source,
    timing: {
      ...(end.spawnMs > 0 ? { spawnMs: Math.min(end.spawnMs, totalMs) } : {}),
      executeMs: Math.min(end.executeMs, totalMs),
      totalMs,
    },
    usage: {
      guestCpuMs: Math.min(end.cpuMs, mostUsage.cpuMs),
      guestPeakBytes: Math.min(end.peakBytes, mostUsage.memoryBytes),
      ...host,
    },
  }
}
