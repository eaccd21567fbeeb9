import { ProtocolError, throwIfAborted, untilAborted, VmLostError } from '../base/index.ts'
import type { Exchange } from '../channel/index.ts'
import type { GroupUsage } from '../host/index.ts'
import { type ExecEnd, STREAMS, type Vm } from '../vm/index.ts'
import type { OutputCallback } from './options.ts'
import { collectOutput } from './output.ts'
import { ResponseLimit, UserCode } from './response-limit.ts'
import type { EndReason } from './result.ts'

/** What one program gave, before timing and source are added. */
export interface ProgramOutcome<E extends ExecEnd = ExecEnd> {
  readonly end: E
  readonly reason: EndReason
  readonly stdout: string
  readonly stderr: string
  readonly stdoutTruncated: boolean
  readonly stderrTruncated: boolean
  readonly host: HostUsage
}

/** What the VM took of the host while the program ran, with all else that ran in it meanwhile. */
export interface HostUsage {
  readonly hostCpuMs?: number
  readonly hostPeakBytes?: number
}

/** Bytes of each output stream. */
export interface OutputBytes {
  readonly stdout: number
  readonly stderr: number
}

export interface ProgramCallOptions<E extends ExecEnd> {
  /** Starts the program. Its events may fail the call. */
  readonly begin: (call: CallControl) => Exchange<E>
  /** What the agent was told to pass on; Infinity = all. */
  readonly limits: OutputBytes
  /** How much of it the outcome keeps as text. @default the limits */
  readonly kept?: OutputBytes
  /** The program's own time limit in milliseconds; 0 = none. */
  readonly timeoutMs: number
  readonly onStdout?: OutputCallback | undefined
  readonly onStderr?: OutputCallback | undefined
  readonly signal?: AbortSignal | undefined
  /** What still has to happen between the program's end and the outcome. */
  readonly beforeOutcome?: () => Promise<void>
  /** Makes the error of a guest that refused to start the program. */
  readonly explainRefusal?: (error: unknown) => unknown
}

/** What the parts of a call may do to it. */
export interface CallControl {
  /** Ends the program and rejects the call with `error`, unless it has failed already. */
  readonly fail: (error: unknown) => void
  /** Knows how long the caller's own code has been running. */
  readonly watch: UserCode
  /** Whether the call has failed: nobody wants what still comes. */
  readonly hasFailed: () => boolean
}

/** A program under way. */
export interface ProgramCall<E extends ExecEnd> extends CallControl {
  readonly exchange: Exchange<E>
  /** Rejects at once on abort; on a lost VM, a broken protocol or a callback that threw. Never unhandled. */
  readonly outcome: Promise<ProgramOutcome<E>>
  /** Resolves, never rejects, when the program has really ended. */
  readonly finished: Promise<void>
}

/**
 * Starts a program on a VM, and collects what it gives.
 * @throws AbortedError when the signal has been aborted already: nothing is started then
 */
export function startProgram<E extends ExecEnd>(vm: Vm, options: ProgramCallOptions<E>): ProgramCall<E> {
  const { limits, kept = limits, signal } = options
  throwIfAborted(signal)
  const reachable = !vm.channel.isClosed
  const watch = new UserCode()
  let failure: { readonly error: unknown } | undefined
  let announceFailure: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_, reject) => {
    announceFailure = reject
  })
  // A call that fails before anyone waits for this is told by its own error.
  failed.catch(() => undefined)
  const fail = (error: unknown): void => {
    failure ??= { error }
    // From here on the channel itself watches over the answer (`cancelTimeoutMs`).
    exchange.cancel()
    // Nobody wants the rest: a callback that never returns must not hold back the guest's answer, nor the next call.
    for (const stream of [STREAMS.stdout, STREAMS.stderr]) void exchange.readable(stream).return?.()
    announceFailure(failure.error)
  }
  const hasFailed = (): boolean => failure !== undefined
  const before = vm.hostUsage()
  const exchange = options.begin({ fail, watch, hasFailed })
  const whileWanted = (callback: OutputCallback | undefined): OutputCallback | undefined =>
    callback && (async (text, bytes) => (hasFailed() ? undefined : await callback(text, bytes)))
  const limit = new ResponseLimit(options.timeoutMs, { watch, onExpired: (reason) => vm.end(reason) })
  const collect = async (stream: 'stdout' | 'stderr') =>
    await collectOutput(exchange.readable(STREAMS[stream]), {
      name: stream,
      limit: limits[stream],
      kept: kept[stream],
      callback: whileWanted(stream === 'stdout' ? options.onStdout : options.onStderr),
      onCallback: (change) => watch.change(change),
      onCallbackError: fail,
    })
  const perform = async (): Promise<ProgramOutcome<E>> => {
    const outputs = Promise.all([collect('stdout'), collect('stderr')])
    // Observed here so that a failure of the response, which comes first, leaves no unhandled rejection.
    // A guest that sends more than it may is not waited for: it need never answer, and could send on for as long.
    outputs.catch((error: unknown) => (error instanceof ProtocolError ? vm.end(error.message, error) : undefined))
    try {
      const end = await exchange.response
      const [stdout, stderr] = await Promise.race([outputs, failed])
      await Promise.race([options.beforeOutcome?.(), failed])
      if (failure !== undefined) throw failure.error
      return {
        end,
        reason: endReason(end),
        stdout: stdout.text,
        stderr: stderr.text,
        stdoutTruncated: end.stdoutTruncated || stdout.cut,
        stderrTruncated: end.stderrTruncated || stderr.cut,
        host: hostUsage(before, vm.hostUsage()),
      }
    } catch (error) {
      if (failure !== undefined) throw failure.error
      const explained = options.explainRefusal?.(error)
      throw explained ?? (await vm.explain(error, reachable && mayHaveRun(error)))
    } finally {
      limit.stop()
    }
  }
  const whole = perform()
  const outcome = untilAborted(whole, signal, fail)
  outcome.catch(() => undefined)
  const finished = whole.then(
    () => undefined,
    () => undefined,
  )
  return { exchange, outcome, finished, fail, watch, hasFailed }
}

function hostUsage(before: GroupUsage, after: GroupUsage): HostUsage {
  const known = before.cpuMs !== undefined && after.cpuMs !== undefined
  return {
    ...(known ? { hostCpuMs: Math.max(0, after.cpuMs - before.cpuMs) } : {}),
    ...(after.peakBytes === undefined ? {} : { hostPeakBytes: after.peakBytes }),
  }
}

// `cancelled` is only ever the answer to a cancel of ours, and then the call ends with its own error.
function endReason(end: ExecEnd): EndReason {
  if (end.reason === 'cancelled') {
    throw new ProtocolError('The guest reported a cancelled run that nobody cancelled', { rule: 'cancelled' })
  }
  return end.reason
}

// The channel knows whether the request had left; after any other error the program may have run.
function mayHaveRun(error: unknown): boolean {
  return !(error instanceof VmLostError && !error.details.dispatched)
}
