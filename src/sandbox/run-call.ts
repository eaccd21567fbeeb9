import { type RunEnd, type RunRequest, runCode, type Vm } from '../vm/index.ts'
import { parseDisplayedValue, resultRoom } from './displayed-value.ts'
import type { DisplayedValue, RunCodeOptions } from './options.ts'
import { type CallControl, type ProgramCall, startProgram } from './program-call.ts'

/** A run of code in an interpreter. */
export interface RunCall extends ProgramCall<RunEnd> {
  /** What it has displayed so far; complete when the outcome is there. */
  readonly results: readonly DisplayedValue[]
}

type Callbacks = Pick<RunCodeOptions, 'onStdout' | 'onStderr' | 'onResult' | 'signal'>

/** Runs code on a VM and collects what it gives. */
export function startRun(vm: Vm, request: RunRequest, callbacks: Callbacks): RunCall {
  const { onStdout, onStderr, onResult, signal } = callbacks
  const results: DisplayedValue[] = []
  const room = resultRoom()
  let delivery: OrderedDelivery | undefined
  const call = startProgram(vm, {
    begin: (control) => {
      const deliver = onResult && new OrderedDelivery(control, onResult)
      delivery = deliver
      return runCode(vm.channel, request, ({ data }) => {
        const value = parseDisplayedValue(data, room)
        if (value === undefined) return
        results.push(value)
        deliver?.push(value)
      })
    },
    limits: { stdout: request.stdoutLimit, stderr: request.stderrLimit },
    timeoutMs: request.timeoutMs,
    onStdout,
    onStderr,
    signal,
    beforeOutcome: async () => await delivery?.drained(),
  })
  return { ...call, results }
}

/** Calls `onResult` for one value after the other, in order. */
class OrderedDelivery {
  readonly #call: CallControl
  readonly #callback: NonNullable<RunCodeOptions['onResult']>
  #last: Promise<void> = Promise.resolve()

  constructor(call: CallControl, callback: NonNullable<RunCodeOptions['onResult']>) {
    this.#call = call
    this.#callback = callback
  }

  push(value: DisplayedValue): void {
    this.#call.watch.change(1)
    this.#last = this.#last
      .then(async () => (this.#call.hasFailed() ? undefined : await this.#callback(value)))
      .catch((error: unknown) => this.#call.fail(error))
      .finally(() => this.#call.watch.change(-1))
  }

  async drained(): Promise<void> {
    await this.#last
  }
}
