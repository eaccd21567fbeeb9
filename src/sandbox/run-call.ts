import { ProtocolError, untilAborted, VmLostError } from '../base/index.ts'
import { type RunEnd, type RunRequest, runCode, STREAMS, type Vm } from '../vm/index.ts'
import { parseDisplayedValue, resultRoom } from './displayed-value.ts'
import type { DisplayedValue, OutputCallback, RunCodeOptions } from './options.ts'
import { collectOutput } from './output.ts'
import { ResponseLimit, UserCode } from './response-limit.ts'
import type { EndReason } from './result.ts'

/** What one run gave, before timing and source are added. */
export interface RunOutcome {
  readonly end: RunEnd
  readonly reason: EndReason
  readonly stdout: string
  readonly stderr: string
  readonly results: readonly DisplayedValue[]
}

/** A run under way: `outcome` for the caller, `finished` for the queue. */
export interface RunCall {
  /** Rejects at once on abort; on a lost VM, a broken protocol or a callback that threw. */
  readonly outcome: Promise<RunOutcome>
  /** Resolves, never rejects, when the program has really ended and the context is free. */
  readonly finished: Promise<void>
}

type Callbacks = Pick<RunCodeOptions, 'onStdout' | 'onStderr' | 'onResult' | 'signal'>

/** Runs code on a VM and collects what it gives. */
export function startRun(vm: Vm, request: RunRequest, callbacks: Callbacks): RunCall {
  const { signal } = callbacks
  const reachable = !vm.channel.isClosed
  const results: DisplayedValue[] = []
  const room = resultRoom()
  const watch = new UserCode()
  const delivery = new OrderedDelivery(watch, callbacks.onResult, (error) => fail(error))
  const exchange = runCode(vm.channel, request, ({ data }) => {
    const value = parseDisplayedValue(data, room)
    if (value === undefined) return
    results.push(value)
    delivery.push(value)
  })
  let failure: { readonly error: unknown } | undefined
  let announceFailure: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_, reject) => {
    announceFailure = reject
  })
  // A run that fails before anyone waits for this is told by its own error.
  failed.catch(() => undefined)
  const fail = (error: unknown): void => {
    failure ??= { error }
    // From here on the channel itself watches over the answer (`cancelTimeoutMs`).
    exchange.cancel()
    // Nobody wants the rest: a callback that never returns must not hold back the guest's answer, nor the next call.
    for (const stream of [STREAMS.stdout, STREAMS.stderr]) void exchange.readable(stream).return?.()
    announceFailure(failure.error)
  }
  const whileWanted = (callback: OutputCallback | undefined): OutputCallback | undefined =>
    callback && (async (text, bytes) => (failure === undefined ? await callback(text, bytes) : undefined))
  const limit = new ResponseLimit(request.timeoutMs, watch, (reason) => vm.end(reason))

  const collect = async (stream: 'stdout' | 'stderr'): Promise<string> => {
    const output = await collectOutput(exchange.readable(STREAMS[stream]), {
      name: stream,
      limit: stream === 'stdout' ? request.stdoutLimit : request.stderrLimit,
      callback: whileWanted(stream === 'stdout' ? callbacks.onStdout : callbacks.onStderr),
      onCallback: (change) => watch.change(change),
      onCallbackError: fail,
    })
    return output.text
  }

  const perform = async (): Promise<RunOutcome> => {
    const outputs = Promise.all([collect('stdout'), collect('stderr')])
    // Observed here so that a failure of the response, which comes first, leaves no unhandled rejection.
    outputs.catch(() => undefined)
    try {
      const end = await exchange.response
      const [stdout, stderr] = await Promise.race([outputs, failed])
      await Promise.race([delivery.drained(), failed])
      if (failure !== undefined) throw failure.error
      return { end, reason: endReason(end), stdout, stderr, results }
    } catch (error) {
      throw failure === undefined ? await vm.explain(error, reachable && mayHaveRun(error)) : failure.error
    } finally {
      limit.stop()
    }
  }

  const whole = perform()
  const outcome = untilAborted(whole, signal, fail)
  return {
    outcome,
    finished: whole.then(
      () => undefined,
      () => undefined,
    ),
  }
}

// `cancelled` is only ever the answer to a cancel of ours, and then the call ends with its own error.
function endReason(end: RunEnd): EndReason {
  if (end.reason === 'cancelled') {
    throw new ProtocolError('The guest reported a cancelled run that nobody cancelled', { rule: 'cancelled' })
  }
  return end.reason
}

// The channel knows whether the request had left; after any other error the program may have run.
function mayHaveRun(error: unknown): boolean {
  return !(error instanceof VmLostError && !error.details.dispatched)
}

/** Calls `onResult` for one value after the other, in order. */
class OrderedDelivery {
  readonly #watch: UserCode
  readonly #callback: RunCodeOptions['onResult']
  readonly #onError: (error: unknown) => void
  #last: Promise<void> = Promise.resolve()

  constructor(watch: UserCode, callback: RunCodeOptions['onResult'], onError: (error: unknown) => void) {
    this.#watch = watch
    this.#callback = callback
    this.#onError = onError
  }

  push(value: DisplayedValue): void {
    const callback = this.#callback
    if (callback === undefined) return
    this.#watch.change(1)
    this.#last = this.#last
      .then(async () => await callback(value))
      .catch((error: unknown) => this.#onError(error))
      .finally(() => this.#watch.change(-1))
  }

  async drained(): Promise<void> {
    await this.#last
  }
}
