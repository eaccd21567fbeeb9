// The REPL for JavaScript and TypeScript on Bun (docs/repl-protocol.md, docs/decisions/0003-javascript-repl.md).

import { setRandomSeed } from 'bun:jsc'
import { createRequire } from 'node:module'
import process from 'node:process'
import { StandardDescriptors, writeAll } from './descriptors.ts'
import { parseEntry, setEntries } from './environment.ts'
import type { Failure } from './failure.ts'
import { describeFailure } from './failure.ts'
import { ExitRequest, HOME, Run } from './run.ts'
import { transpile } from './program.ts'
import { encodeBundle } from './values.ts'
import { type Message, Wire, decode } from './wire.ts'

/** Bytes of seed at the beginning of an `S` message. */
const SEED_LENGTH = 32

/** Random bytes that Bun holds ready for UUIDs are at most 2 048: this many UUIDs use all of them up. */
const BUFFERED_UUIDS = 256

const encoder = new TextEncoder()
const { Buffer, DataView, Number, Object, String } = globalThis
const { stringify } = JSON
const { randomUUID } = crypto

class Session {
  readonly #descriptors = new StandardDescriptors()
  readonly #wire: Wire
  #count = 0
  #run: Run | undefined
  #callEntries: (readonly [string, string])[] = []

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
    wire.send('R')
  }

  receive({ kind, payload }: Message): void {
    if (kind === 'C') this.#begin(this.#wire.beginRun(payload))
    else if (kind === 'E') this.#callEntries.push(parseEntry(decode(payload)))
    else if (kind === 'S') this.#resume(payload)
    else process.reallyExit(1)
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

  #resume(payload: Uint8Array): void {
    setRandomSeed(new DataView(payload.buffer, payload.byteOffset).getUint32(0, true))
    for (let i = 0; i < BUFFERED_UUIDS; i++) randomUUID.call(crypto)
    const entries = decode(payload.subarray(SEED_LENGTH))
      .split('\0')
      .filter((entry) => entry !== '')
    setEntries(entries.map(parseEntry))
    this.#wire.send('A')
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
