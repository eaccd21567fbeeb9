import { Writable } from 'node:stream'
import { AbortedError, untilAborted } from '../../base/index.ts'
import type { StreamWriter } from '../../channel/index.ts'
import { signalProgram, STREAMS, type Vm } from '../../vm/index.ts'
import type { Lifetime } from '../lifetime.ts'
import type { ProgramCall, ProgramOutcome } from '../program-call.ts'
import type { ProgramResult } from '../result.ts'
import { signalNumber } from './command-options.ts'
import type { OutputChunk, OutputLog } from './output-log.ts'

/** What a command gives; the same fields as a run of code. */
export type CommandResult = ProgramResult

/** A command that runs in a sandbox. It lives on when nobody waits, until it ends or the sandbox closes. */
export class CommandHandle implements AsyncDisposable {
  /** Its process id in the guest, which is also that of its process group. */
  readonly pid: number
  /** Its standard input. What is written after the program has ended is dropped. */
  readonly stdin: Writable
  readonly #parts: CommandParts
  #running = true

  /** Use `sandbox.commands.start`. */
  constructor(pid: number, parts: CommandParts) {
    this.pid = pid
    this.#parts = parts
    this.stdin = inputOf(parts.call.exchange.writable(STREAMS.stdin))
    void parts.call.finished.then(() => {
      this.#running = false
      this.stdin.destroy()
    })
  }

  get running(): boolean {
    return this.#running
  }

  /**
   * stdout and stderr in the order in which they came: the last 1 MiB of what came before, then what comes. Reading
   * slower than the program writes slows it down. Ends with the program; throws what `wait` throws.
   */
  get output(): AsyncIterable<OutputChunk> {
    const { log, life } = this.#parts
    return {
      async *[Symbol.asyncIterator]() {
        const leave = life.enter()
        try {
          yield* log.read()
        } finally {
          leave()
        }
      },
    }
  }

  /** Bytes of output that went before anyone read them. */
  get droppedBytes(): number {
    return this.#parts.log.droppedBytes
  }

  /**
   * Waits for the end of the program.
   * @param options.signal ends the wait, not the program
   * @throws VmLostError, ProtocolError, SandboxClosedError when the sandbox ends first · AbortedError · what a callback threw
   */
  async wait(options: { readonly signal?: AbortSignal } = {}): Promise<CommandResult> {
    const { call, life, resultOf } = this.#parts
    const leave = life.enter()
    try {
      return resultOf(await untilAborted(call.outcome, options.signal))
    } catch (error) {
      throw life.explain(error)
    } finally {
      leave()
    }
  }

  /**
   * Sends a signal to the command's process group.
   * @returns whether there was anyone to get it
   */
  async kill(signal: NodeJS.Signals | number = 'SIGTERM'): Promise<boolean> {
    const number = signalNumber(signal)
    if (!this.#running) return false
    const { call, vm, life } = this.#parts
    return await life.busy(async () => {
      try {
        return await signalProgram(vm.channel, call.exchange.id, number)
      } catch (error) {
        throw await vm.explain(error, true)
      }
    })
  }

  /** Kills the command if it still runs, and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { call } = this.#parts
    // A sandbox that has ended took the command with it.
    await this.kill('SIGKILL').catch(() => false)
    // Whoever still waits is told; a guest that does not tell of the end from here on is taken for dead.
    if (this.#running) call.fail(new AbortedError('The command was disposed of', undefined))
    await call.finished
  }
}

/** What a handle stands on. */
export interface CommandParts {
  readonly vm: Vm
  readonly life: Lifetime
  readonly call: ProgramCall<ProgramOutcome['end']>
  readonly log: OutputLog
  readonly resultOf: (outcome: ProgramOutcome) => CommandResult
}

/** A Node stream over the exchange's: it takes a chunk at a time, and never fails, whatever becomes of the program. */
function inputOf(writer: StreamWriter): Writable {
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      // A lost VM is told by `wait`; an 'error' event that nobody expects would end the caller's process.
      writer.write(chunk).then(
        () => done(),
        () => done(),
      )
    },
    final: (done) => {
      writer.end()
      done()
    },
  })
}
