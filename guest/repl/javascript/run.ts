// One run: from the source text to its end, however that comes about.

import process from 'node:process'
import { Script, constants } from 'node:vm'
import { drainMicrotasks } from 'bun:jsc'
import { type Failure, describeFailure, describeSyntaxErrors } from './failure.ts'
import { provideJsx } from './jsx.ts'
import { type Program, transpile, withoutExports } from './program.ts'

export const HOME = '/home/user'

/** What a shell reports for a program that SIGINT ended: 128 + 2. */
const EXIT_INTERRUPTED = 130

/** Bun's types do not know `breakOnSigint`, which makes SIGINT end a script that no `catch` of its own can hold. */
const WATCHED = { breakOnSigint: true, displayErrors: false } as object

const { Error, Number, Object, Promise, globalThis: global, queueMicrotask } = globalThis
const { kill, pid } = process
const nextTurn = setImmediate

/** Thrown where a program that called `process.exit` cannot be stopped in any other way. */
export class ExitRequest extends Error {}

type Completion = { readonly value?: unknown } | undefined

export interface RunHost {
  display(value: unknown): Promise<void>
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
      const result = await this.#start(prepared.script)
      if (prepared.displays && !this.#ended) await this.#show(result?.value)
      // Rejections that nobody handles are reported between two turns of the event loop.
      await new Promise((resolve) => nextTurn(resolve))
      this.#end(this.#exitCode ?? programExitCode())
    } catch (error) {
      this.fail(error)
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
    const completion = Promise.resolve(WATCHED).then(script.runInThisContext.bind(script)) as Promise<Completion>
    queueMicrotask(shareDrain)
    const drained = Promise.resolve(WATCHED).then(drainScript.runInThisContext.bind(drainScript))
    drained.then(
      () => (this.#guarded = false),
      (error) => {
        // The program's own promise may never settle now.
        this.#guarded = false
        this.fail(error)
      },
    )
    return completion
  }

  /** Ends the run with an error of the program, thrown anywhere. */
  fail(error: unknown): void {
    if (this.#exitCode !== undefined) this.#end(this.#exitCode)
    else if (isInterruption(error)) this.interrupt()
    else this.#end(1, describeFailure(error, this.#file))
  }

  /** SIGINT. */
  interrupt(): void {
    // A program that handles SIGTERM has said how it wants to be ended. A time-out, which begins with SIGINT, would
    // otherwise end it without that.
    try {
      process.emit('SIGTERM', 'SIGTERM')
    } catch (error) {
      if (!(error instanceof ExitRequest)) return this.#end(1, describeFailure(error, this.#file))
    }
    this.#end(this.#exitCode ?? EXIT_INTERRUPTED)
  }

  /** `process.exit`: does not return. */
  exit(code: number): never {
    this.#exitCode ??= code
    if (this.#guarded) {
      // Nothing that the program wrapped around this call may catch it, and no JavaScript exception has that power.
      kill(pid, 'SIGINT')
      for (;;);
    }
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
      provideJsx(program.script, HOME)
      return { script: this.#compile(program.script), displays: program.displays }
    } catch (error) {
      this.#end(1, describeFailure(error, this.#file))
      return undefined
    }
  }

  #compile(script: string): Script {
    const options = {
      filename: this.#file,
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    } as unknown as ConstructorParameters<typeof Script>[1]
    try {
      return new Script(script, options)
    } catch (error) {
      if (!script.includes('export')) throw error
      return new Script(withoutExports(script), options)
    }
  }

  /** A promise as the last value is waited for: `main()` as the last line means the program. */
  async #show(value: unknown): Promise<void> {
    const settled = value instanceof Promise ? await value : value
    // `process.on(...)` gives the process: nobody asked to see that.
    if (settled !== undefined && settled !== process && !this.#ended) await this.#host.display(settled)
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
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_INTERRUPTED'
}

/** Runs the microtasks that are due. A script, because only scripts run under the watchdog. */
const drainScript = new Script('{ const drain = __execSandboxDrain; delete __execSandboxDrain; drain() }', {
  filename: 'node:internal/drain',
})

/** Shares the function with the script, which takes it away before any code of the program runs. */
function shareDrain(): void {
  Object.defineProperty(global, '__execSandboxDrain', { value: drainMicrotasks, configurable: true })
}
