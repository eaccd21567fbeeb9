// The REPL for JavaScript and TypeScript on Bun (docs/repl-protocol.md, docs/decisions/0003-javascript-repl.md).

import { fullGC, heapSize } from 'bun:jsc'
import process from 'node:process'
import { StandardDescriptors, writeAll } from './descriptors.ts'
import { forgetStartOptions, parseEntry, passEnvironmentOn, setEntries } from './environment.ts'
import { type Failure, describeFailure, showErrorsByTheirStack } from './failure.ts'
import { reseed } from './generators.ts'
import { prepareGlobals } from './globals.ts'
import { transpile } from './program.ts'
import { ExitRequest, type FailureEvent, Run } from './run.ts'
import { prepareStreams } from './streams.ts'
import { orSurrender, surrender } from './surrender.ts'
import { encodeBundle, encodeValue } from './values.ts'
import { type Message, Wire, decode } from './wire.ts'

/** Bytes of seed at the beginning of an `S` message. */
const SEED_LENGTH = 32

/** Growth of the heap, in bytes, after which an idle session is collected. Some milliseconds' work, for what a program left. */
const COLLECT_AFTER = 8_388_608

const encoder = new TextEncoder()
const { Number, Reflect, Uint8Array } = globalThis
const { stringify } = JSON
const { then } = Promise.prototype
const nextTurn = setImmediate

type Listen = (event: string | symbol, listener: (...args: never[]) => void) => void

// As they are before a program replaces them.
const on = process.on.bind(process) as unknown as Listen
const off = process.off.bind(process) as unknown as Listen
const emit = process.emit.bind(process) as unknown as (event: string, ...args: unknown[]) => boolean
const listeners = process.listeners.bind(process) as (event: string | symbol) => ((...args: unknown[]) => void)[]
const listenerCount = process.listenerCount.bind(process)
const removeAllListeners = process.removeAllListeners.bind(process)
const kill = process.kill.bind(process)
const { pid, reallyExit } = process

interface Listener {
  readonly event: string
  readonly listener: (...args: never[]) => void
}

class Session {
  readonly #descriptors = new StandardDescriptors()
  readonly #wire: Wire
  #renewStreams = () => {}
  #count = 0
  #run: Run | undefined
  #callEntries: (readonly [string, string])[] = []
  /** Resolves when the run has reported what it displayed so far; undefined if it could do so at once. */
  #displayed: Promise<void> | undefined
  #collectedSize = heapSize()

  private constructor(wire: Wire) {
    this.#wire = wire
  }

  static async start(): Promise<void> {
    const waiting: { session?: Session } = {}
    const wire = await Wire.open((message) => waiting.session?.receive(message))
    const session = new Session(wire)
    waiting.session = session
    session.#prepareProcess()
    transpile('const warm: number = await 1\nwarm')
    // What a resumed REPL does first is compiled before, so that a template has it.
    session.#takeOver(crypto.getRandomValues(new Uint8Array(SEED_LENGTH)))
    wire.send('R')
  }

  receive({ kind, payload }: Message): void {
    if (kind === 'C') orSurrender(() => this.#begin(this.#wire.beginRun(payload)))
    else if (kind === 'E')
      orSurrender(() => (this.#callEntries[this.#callEntries.length] = parseEntry(decode(payload))))
    else if (kind === 'S') {
      // What ran before was not the user's: their first program is the first.
      this.#count = 0
      this.#takeOver(payload)
      this.#wire.send('A')
    } else reallyExit.call(process, 1)
  }

  #begin(source: string): void {
    const previous = setEntries(this.#callEntries)
    this.#callEntries = []
    this.#descriptors.restore()
    this.#renewStreams()
    this.#listen()
    process.exitCode = 0
    // What an earlier run displays may never be ready.
    this.#displayed = undefined
    const run = new Run(++this.#count, {
      display: (value) => this.#display(encodeValue(value)),
      displayed: () => this.#displayed,
      offer: (event, error, detail) => this.#offer(event, error, detail),
      finish: () => callOnce('beforeExit', Number(process.exitCode ?? 0)),
      end: (exitCode, failure) => orSurrender(() => this.#end(exitCode, failure, previous)),
    })
    this.#run = run
    void Reflect.apply(then, run.execute(source), [undefined, surrender])
  }

  #end(exitCode: number, failure: Failure | undefined, previous: ReturnType<typeof setEntries>): void {
    this.#run = undefined
    if (failure) this.#report(failure)
    const code = this.#runExitListeners(exitCode, failure !== undefined)
    setEntries(previous)
    this.#wire.report('D', `${code}`)
    this.#collectLater()
  }

  #report(failure: Failure): void {
    // Without a prototype, on which a program may have put a toJSON.
    this.#wire.report('X', stringify({ __proto__: null, ...failure }))
    writeError(failure.traceback)
  }

  /** What the program registered for its end happens at its end, and once. */
  #runExitListeners(exitCode: number, failed: boolean): number {
    process.exitCode = exitCode
    try {
      callOnce('exit', exitCode)
    } catch (error) {
      if (!(error instanceof ExitRequest)) {
        process.exitCode = 1
        const failure = describeFailure(error)
        if (failed) writeError(failure.traceback)
        else this.#report(failure)
      }
    }
    return Number(process.exitCode) & 0xff
  }

  /** In the order of the calls, and before the call returns if the value can be encoded by then. */
  #display(encoded: string | Promise<string>): void {
    if (typeof encoded === 'string' && !this.#displayed) return this.#wire.report('O', encoded)
    this.#displayed = this.#reportAfter(this.#displayed, encoded)
  }

  async #reportAfter(earlier: Promise<void> | undefined, encoded: string | Promise<string>): Promise<void> {
    await earlier
    this.#wire.report('O', await encoded)
  }

  /** A seed and the sandbox's environment. */
  #takeOver(payload: Uint8Array): void {
    reseed(payload.subarray(0, SEED_LENGTH))
    const entries = decode(payload.subarray(SEED_LENGTH))
      .split('\0')
      .filter((entry) => entry !== '')
    setEntries(entries.map(parseEntry))
  }

  /**
   * Gives memory back when a program has left much of it. Bun's own timer, which collects every second and so keeps an
   * idle VM busy, is off (guest/agent/src/repl/table.rs); JavaScriptCore collects as before when memory is allocated.
   */
  #collectLater(): void {
    if (heapSize() < this.#collectedSize + COLLECT_AFTER) return
    nextTurn(() => {
      if (this.#run) return
      fullGC()
      this.#collectedSize = heapSize()
    })
  }

  /**
   * Before every run: a program may have removed the REPL's listeners. Its own for these events hold for its run, because
   * one that was forgotten would swallow the errors of all that follow.
   */
  #listen(): void {
    for (let i = 0; i < this.#listeners.length; i++) {
      const { event, listener } = this.#listeners[i] as Listener
      this.#removeListeners(event)
      if (listenerCount(event) === 0) on(event, listener)
    }
  }

  /** All but the REPL's own: listening to SIGINT anew would also take the signal away from the watchdog. */
  #removeListeners(event: string | symbol): void {
    const present = listeners(event)
    for (let i = 0; i < present.length; i++) {
      if (!this.#isOwn(event, present[i])) off(event, present[i] as (typeof present)[number])
    }
  }

  /** Not as an event: Bun ends the process when a listener for an uncaught exception throws. */
  #offer(event: FailureEvent, error: unknown, detail: unknown): boolean {
    const called = listeners(event)
    for (let i = 0; i < called.length; i++) {
      if (!this.#isOwn(event, called[i])) Reflect.apply(called[i] as (typeof called)[number], process, [error, detail])
    }
    return called.length > 1
  }

  #isOwn(event: string | symbol, listener: unknown): boolean {
    for (let i = 0; i < this.#listeners.length; i++) {
      if (this.#listeners[i]?.event === event && this.#listeners[i]?.listener === listener) return true
    }
    return false
  }

  readonly #onFailure = (event: string) => (error: unknown) => {
    if (error instanceof ExitRequest) return
    // A program that has its own handler has handled it.
    if (listenerCount(event) > 1) return
    orSurrender(() => {
      if (this.#run) this.#run.fail(error)
      else writeError(describeFailure(error).traceback)
    })
  }

  readonly #onInterrupt = () => {
    if (listenerCount('SIGINT') === 1) orSurrender(() => this.#run?.interrupt())
  }

  readonly #listeners: readonly Listener[] = [
    { event: 'uncaughtException', listener: this.#onFailure('uncaughtException') },
    { event: 'unhandledRejection', listener: this.#onFailure('unhandledRejection') },
    { event: 'SIGINT', listener: this.#onInterrupt },
  ]

  #prepareProcess(): void {
    forgetStartOptions()
    passEnvironmentOn()
    this.#listen()
    showErrorsByTheirStack()
    prepareGlobals((...values) => {
      const [bundle, options] = values
      const raw = values.length === 2 && (options as { raw?: unknown } | null | undefined)?.raw === true
      if (raw) this.#display(encodeBundle(bundle as object))
      else for (const value of values) this.#display(encodeValue(value))
      return this.#displayed
    })
    this.#renewStreams = prepareStreams()
    process.exit = (...codes: (number | string | null | undefined)[]) => this.#exit(codes)
    process.kill = (target, signal) => this.#kill(target, signal)
    process.removeAllListeners = (...events: (string | symbol)[]) => {
      for (const event of events.length === 0 ? process.eventNames() : events) this.#removeListeners(event)
      return process
    }
  }

  #exit(codes: readonly (number | string | null | undefined)[]): never {
    // Refuses what is no exit code.
    if (codes.length > 0) process.exitCode = codes[0] as number | undefined
    const code = Number(process.exitCode ?? 0) & 0xff
    if (this.#run) return this.#run.exit(code)
    // In an 'exit' listener the new code counts; in a timer that fires between runs there is nothing to end.
    process.exitCode = code
    throw new ExitRequest('process.exit was called outside of a run')
  }

  /** A SIGINT that a program sends itself is the program's own if it listens, whatever the watchdog makes of signals. */
  #kill(target: number, signal?: string | number): true {
    if (target !== pid || (signal !== 'SIGINT' && signal !== 2) || !this.#run) return kill(target, signal)
    if (listenerCount('SIGINT') > 1) nextTurn(() => emit('SIGINT', 'SIGINT', 2))
    else this.#run.interruptItself()
    return true
  }
}

/** Calls the program's listeners for an event that a process has once; they may throw. */
function callOnce(event: 'beforeExit' | 'exit', exitCode: number): void {
  const called = listeners(event)
  removeAllListeners(event)
  for (let i = 0; i < called.length; i++) Reflect.apply(called[i] as (typeof called)[number], process, [exitCode])
}

function writeError(text: string): void {
  try {
    writeAll(2, encoder.encode(text))
  } catch {
    // The program closed its stderr.
  }
}

try {
  await Session.start()
} catch (error) {
  writeError(`${Bun.inspect(error)}\n`)
  process.reallyExit(1)
}
