// The REPL for JavaScript and TypeScript on Bun (docs/repl-protocol.md, docs/decisions/0003-javascript-repl.md).

import { fullGC, heapSize } from 'bun:jsc'
import { createRequire } from 'node:module'
import process from 'node:process'
import { StandardDescriptors, writeAll } from './descriptors.ts'
import { forgetStartOptions, parseEntry, passEnvironmentOn, setEntries } from './environment.ts'
import type { Failure } from './failure.ts'
import { describeFailure } from './failure.ts'
import { reseed } from './generators.ts'
import { ExitRequest, HOME, Run } from './run.ts'
import { transpile } from './program.ts'
import { encodeBundle } from './values.ts'
import { type Message, Wire, decode } from './wire.ts'

/** Bytes of seed at the beginning of an `S` message. */
const SEED_LENGTH = 32

/** Growth of the heap, in bytes, after which an idle session is collected. Some milliseconds' work, for what a program left. */
const COLLECT_AFTER = 8_388_608

const encoder = new TextEncoder()
const { Buffer, Number, Object, String, Uint8Array } = globalThis
const { stringify } = JSON
const nextTurn = setImmediate

class Session {
  readonly #descriptors = new StandardDescriptors()
  readonly #wire: Wire
  #count = 0
  #run: Run | undefined
  #callEntries: (readonly [string, string])[] = []
  #collectedSize = heapSize()

  private constructor(wire: Wire) {
    this.#wire = wire
  }

  static async start(): Promise<void> {
    const waiting: { session?: Session } = {}
    const wire = await Wire.open((message) => waiting.session?.receive(message))
    const session = new Session(wire)
    waiting.session = session
    session.#prepareGlobals()
    transpile('const warm: number = await 1\nwarm')
    // What a resumed REPL does first is compiled before, so that a template has it.
    session.#takeOver(crypto.getRandomValues(new Uint8Array(SEED_LENGTH)))
    wire.send('R')
  }

  receive({ kind, payload }: Message): void {
    if (kind === 'C') this.#begin(this.#wire.beginRun(payload))
    else if (kind === 'E') this.#callEntries.push(parseEntry(decode(payload)))
    else if (kind === 'S') {
      // What ran before was not the user's: their first program is the first.
      this.#count = 0
      this.#takeOver(payload)
      this.#wire.send('A')
    } else process.reallyExit(1)
  }

  #begin(source: string): void {
    const previous = setEntries(this.#callEntries.splice(0))
    this.#descriptors.restore()
    this.#listen()
    process.exitCode = 0
    const run = new Run(++this.#count, {
      display: async (value) => this.#wire.report('O', await encodeBundle(value)),
      end: (exitCode, failure) => {
        this.#run = undefined
        if (failure) this.#report(failure)
        const code = this.#runExitListeners(exitCode)
        setEntries(previous)
        this.#wire.report('D', String(code))
        this.#collectLater()
      },
    })
    this.#run = run
    void run.execute(source)
  }

  #report(failure: Failure): void {
    this.#wire.report('X', stringify(failure))
    writeError(failure.traceback)
  }

  /** What the program registered for its end happens at its end, and once. */
  #runExitListeners(exitCode: number): number {
    const listeners = process.listeners('exit')
    process.removeAllListeners('exit')
    process.exitCode = exitCode
    for (const listener of listeners) {
      try {
        listener.call(process, exitCode)
      } catch (error) {
        if (!(error instanceof ExitRequest)) writeError(describeFailure(error, '').traceback)
      }
    }
    return Number(process.exitCode) & 0xff
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

  /** Before every run, because a program may have removed them. */
  #listen(): void {
    for (const [event, listener] of this.#listeners) {
      process.off(event, listener)
      process.on(event, listener)
    }
  }

  readonly #onFailure = (event: string) => (error: unknown) => {
    if (error instanceof ExitRequest) return
    // A program that has its own handler has handled it.
    if (process.listenerCount(event) > 1) return
    if (this.#run) this.#run.fail(error)
    else writeError(describeFailure(error, '').traceback)
  }

  readonly #onInterrupt = () => {
    if (process.listenerCount('SIGINT') === 1) this.#run?.interrupt()
  }

  readonly #listeners: readonly (readonly [string, (...args: never[]) => void])[] = [
    ['uncaughtException', this.#onFailure('uncaughtException')],
    ['unhandledRejection', this.#onFailure('unhandledRejection')],
    ['SIGINT', this.#onInterrupt],
  ]

  #prepareGlobals(): void {
    forgetStartOptions()
    passEnvironmentOn()
    this.#listen()
    process.argv.splice(0, process.argv.length, process.execPath, `${HOME}/input.tsx`)
    const require = createRequire(`${HOME}/input.tsx`)
    const module = {
      exports: {},
      id: '.',
      filename: `${HOME}/input.tsx`,
      loaded: false,
      children: [],
      paths: [],
      require,
    }
    Object.defineProperty(require, 'main', { value: module, configurable: true })
    const display = async (...values: unknown[]) => {
      for (const value of values) this.#wire.report('O', await encodeBundle(value))
    }
    defineGlobals({ require, module, exports: module.exports, __filename: module.filename, __dirname: HOME, display })
    process.exit = (code?: number | string | null) => this.#exit(code)
    writeSynchronously('stdout', 1)
    writeSynchronously('stderr', 2)
  }

  #exit(code: number | string | null | undefined): never {
    const number = Number(code ?? process.exitCode ?? 0)
    if (this.#run) return this.#run.exit(number & 0xff)
    // In an 'exit' listener the new code counts; in a timer that fires between runs there is nothing to end.
    process.exitCode = number & 0xff
    throw new ExitRequest('process.exit was called outside of a run')
  }
}

/** Globals that a script of Node's has, without showing up among the names of the session. */
function defineGlobals(values: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false })
  }
}

/**
 * Makes `process.stdout.write` return when the bytes are in the pipe. Bun's own may still hold some when the program
 * ends. The stream is made when it is first used: loading it costs more than most programs.
 */
function writeSynchronously(name: 'stdout' | 'stderr', descriptor: number): void {
  const original = Object.getOwnPropertyDescriptor(process, name)
  let stream: NodeJS.WriteStream | undefined
  const get = () => {
    if (stream) return stream
    stream = (original?.get ? original.get.call(process) : original?.value) as NodeJS.WriteStream
    stream.write = (chunk: Uint8Array | string, encoding?: unknown, callback?: unknown) => {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encodingOf(encoding)) : chunk
      writeAll(descriptor, bytes)
      const done = typeof encoding === 'function' ? encoding : callback
      if (typeof done === 'function') queueMicrotask(() => done())
      return true
    }
    return stream
  }
  Object.defineProperty(process, name, { get, set: (value) => (stream = value), configurable: true, enumerable: true })
}

function encodingOf(encoding: unknown): BufferEncoding {
  return typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8'
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
