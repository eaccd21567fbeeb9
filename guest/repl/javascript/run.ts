// One run: from the source text to its end, however that comes about.

import process from 'node:process'
import { Script, constants } from 'node:vm'
import { drainMicrotasks } from 'bun:jsc'
import { type Failure, describeCompileError, describeFailure, describeSyntaxErrors } from './failure.ts'
import { HOME } from './globals.ts'
import { provideJsx } from './jsx.ts'
import { type Program, transpile, transpileWithoutExports } from './program.ts'
import { isPromise } from './values.ts'

/** What a shell reports for a program that SIGINT ended: 128 + 2. */
const EXIT_INTERRUPTED = 130

/** What Node and Bun report when a handler of uncaught errors throws. */
const EXIT_HANDLER_FAILED = 7

/** Bun's types do not know `breakOnSigint`, which makes SIGINT end a script that no `catch` of its own can hold. */
const WATCHED = { breakOnSigint: true, displayErrors: false } as object

const { Error, Function, Number, Promise, Reflect, queueMicrotask } = globalThis
const { pid } = process
const kill = process.kill.bind(process)
const emit = process.emit.bind(process)
const { apply } = Reflect
const { bind } = Function.prototype
const { then } = Promise.prototype
const watched = Promise.resolve(WATCHED)
const nextTurn = setImmediate

/** Thrown where a program that called `process.exit` cannot be stopped in any other way. */
export class ExitRequest extends Error {}

type Completion = { readonly value?: unknown } | undefined

export type FailureEvent = 'uncaughtException' | 'unhandledRejection'

export interface RunHost {
  display(value: unknown): void
  /** Resolves when everything displayed so far has been reported. */
  displayed(): Promise<void> | undefined
  /** Gives an error to the program's own handlers of an event; false if it has none. They may throw. */
  offer(event: FailureEvent, error: unknown, detail: unknown): boolean
  /** The program has come to its end by itself. */
  finish(): void
  /** Called once: the run has ended. */
  end(exitCode: number, failure: Failure | undefined): void
}

export class Run {
  readonly #host: RunHost
  readonly #file: string
  #ended = false
  /** JavaScript of the program is on the stack, under the watchdog that turns SIGINT into its end. */
  #guarded = false
  #exitCode: number | undefined

  constructor(number: number, host: RunHost) {
    this.#host = host
    this.#file = `${HOME}/input-${number}.tsx`
  }

  async execute(source: string): Promise<void> {
    const prepared = this.#prepare(source)
    if (!prepared) return
    try {
      const started = await this.#start(prepared.script)
      // Of a program that took `then` away from promises, this may still be one.
      const result = isPromise(started) ? ((await started) as Completion) : started
      if (prepared.displays && !this.#ended) await this.#show(result?.value)
      await this.#host.displayed()
    } catch (error) {
      this.fail(error)
    }
    if (this.#ended) return
    try {
      // Rejections that nobody handles are reported between two turns of the event loop.
      await new Promise((resolve) => nextTurn(resolve))
      if (!this.#ended) this.#host.finish()
      this.#end(this.#exitCode ?? programExitCode())
    } catch (error) {
      this.fail(error)
    }
  }

  #offer(event: FailureEvent, error: unknown, detail: unknown = event): boolean {
    try {
      return this.#host.offer(event, error, detail)
    } catch (thrown) {
      this.#end(this.#exitCode ?? EXIT_HANDLER_FAILED, describeFailure(thrown))
      return true
    }
  }

  /**
   * Runs the script, and all that the program does before it first has to wait, under the watchdog.
   *
   * Both are started by the microtask queue instead of being called, so that no frame of the REPL stands in the
   * stack traces that the program itself prints.
   */
  #start(script: Script): Promise<Completion> {
    this.#guarded = true
    const completion = callLater(script) as Promise<Completion>
    queueMicrotask(shareDrain)
    const onDrained = () => (this.#guarded = false)
    const onBroken = (error: unknown) => {
      // The program's own promise may never settle now.
      this.#guarded = false
      this.fail(error)
    }
    apply(then, callLater(drainScript), [onDrained, onBroken])
    return completion
  }

  /** Ends the run with an error of the program, thrown anywhere, unless the program handles it. */
  fail(error: unknown): void {
    if (this.#exitCode !== undefined) this.#end(this.#exitCode)
    else if (isInterruption(error)) this.interrupt()
    else if (!this.#offer('uncaughtException', error)) this.#end(1, describeFailure(error))
  }

  /** SIGINT. */
  interrupt(): void {
    // A program that handles SIGTERM has said how it wants to be ended. A time-out, which begins with SIGINT, would
    // otherwise end it without that.
    try {
      emit('SIGTERM', 'SIGTERM')
    } catch (error) {
      if (!(error instanceof ExitRequest)) return this.#end(1, describeFailure(error))
    }
    this.#end(this.#exitCode ?? EXIT_INTERRUPTED)
  }

  /** The program sends itself SIGINT. It comes at once, as a signal to oneself does. */
  interruptItself(): void {
    kill(pid, 'SIGINT')
    // The watchdog notices the signal a moment later, and loses it if nothing runs any more by then.
    while (this.#guarded);
  }

  /** `process.exit`: does not return. */
  exit(code: number): never {
    this.#exitCode ??= code
    // Nothing that the program wrapped around this call may catch it, and no JavaScript exception has that power.
    if (this.#guarded) this.interruptItself()
    this.#end(this.#exitCode)
    throw new ExitRequest('process.exit was called')
  }

  #prepare(source: string): { script: Script; displays: boolean } | undefined {
    let program: Program
    try {
      program = transpile(source)
    } catch (error) {
      this.#end(1, describeSyntaxErrors(error, this.#file))
      return undefined
    }
    try {
      return this.#compile(program)
    } catch (error) {
      if (!program.script.includes('export ')) return this.#reject(error, source)
    }
    try {
      return this.#compile(transpileWithoutExports(source))
    } catch (error) {
      return this.#reject(error, source)
    }
  }

  #compile({ script, displays }: Program): { script: Script; displays: boolean } {
    provideJsx(script, HOME)
    const options = {
      filename: this.#file,
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    } as unknown as ConstructorParameters<typeof Script>[1]
    return { script: new Script(script, options), displays }
  }

  #reject(error: unknown, source: string): undefined {
    this.#end(1, describeCompileError(error, this.#file, source))
  }

  /** A promise as the last value is waited for: `main()` as the last line means the program. */
  async #show(value: unknown): Promise<void> {
    let settled = value
    try {
      if (isPromise(value)) settled = await value
    } catch (error) {
      // Without a REPL that waits for it, nobody would have handled this.
      if (this.#ended || this.#offer('unhandledRejection', error, value)) return
      throw error
    }
    // `process.on(...)` gives the process: nobody asked to see that.
    if (settled !== undefined && settled !== process && !this.#ended) this.#host.display(settled)
  }

  #end(exitCode: number, failure?: Failure): void {
    if (this.#ended) return
    this.#ended = true
    this.#host.end(exitCode & 0xff, failure)
  }
}

function programExitCode(): number {
  const code = Number(process.exitCode ?? 0)
  return Number.isInteger(code) ? code : 1
}

function isInterruption(error: unknown): boolean {
  try {
    return error instanceof Error && (error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_INTERRUPTED'
  } catch {
    // A proxy that throws.
    return false
  }
}

/** Calls the script from the microtask queue. */
function callLater(script: Script): Promise<unknown> {
  return apply(then, watched, [apply(bind, script.runInThisContext, [script])]) as Promise<unknown>
}

/** Where the two below meet: an object that has no name for programs to come across, and that freezing globals leaves alone. */
const meetingPoint = (async () => {}).constructor

/** Runs the microtasks that are due. A script, because only scripts run under the watchdog. */
const drainScript = new Script(
  '{ const { constructor } = async () => {}, { drain } = constructor; delete constructor.drain; drain() }',
  { filename: 'node:internal/drain' },
)

/** Shares the function with the script, which takes it away before any code of the program runs. */
function shareDrain(): void {
  Reflect.set(meetingPoint, 'drain', drainMicrotasks)
}
