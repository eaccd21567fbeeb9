import { CapacityError, ProtocolError, VmLostError, withDeadline } from '../../base/index.ts'
import { RequestRefusedError } from '../../channel/index.ts'
import { execProgram, STREAMS, type Vm } from '../../vm/index.ts'
import type { Lifetime } from '../lifetime.ts'
import { bytesOf, piecesUntil } from '../pieces.ts'
import { type ProgramCall, type ProgramOutcome, startProgram } from '../program-call.ts'
import { OUTPUT_LIMITS, type ProgramResult, programResult, type Source } from '../result.ts'
import { CommandHandle, type CommandResult } from './command-handle.ts'
import {
  checkRunOptions,
  checkStartOptions,
  type CommandOptions,
  resolveCommand,
  type ResolvedCommand,
  type RunCommandOptions,
  type StartCommandOptions,
} from './command-options.ts'
import { OutputLog } from './output-log.ts'

/** A command that runs, as `commands.list` tells. */
export interface CommandInfo {
  readonly pid: number
  /** What was run: the text for bash, or the words of an array joined by spaces. */
  readonly command: string
  readonly cwd: string
  readonly startedAt: Date
  readonly handle: CommandHandle
}

/** What the programs of a sandbox are run with. */
export interface CommandHost {
  readonly vm: Vm
  readonly life: Lifetime
  readonly source: Source
  /** Of a command that names none. */
  readonly timeoutMs: number
}

/** What the agent may take for a fork; it only fails when the guest hangs or is starved. */
const START_TIMEOUT_MS = 20_000

/** Programs beside the interpreters, any number at the same time. */
export class Commands {
  readonly #host: CommandHost
  readonly #running = new Map<CommandHandle, CommandInfo>()

  constructor(host: CommandHost) {
    this.#host = host
  }

  /**
   * Runs a command and waits for its end. A string runs in bash, an array without a shell.
   * @returns how it ended; a failing command is a result, and one that does not exist has exit code 127
   * @throws InvalidInputError before anything runs · CapacityError when the guest has no room for a process ·
   * SandboxClosedError · VmLostError · ProtocolError · AbortedError · whatever a callback or `stdin` threw
   */
  async run(command: string | readonly string[], options: RunCommandOptions = {}): Promise<CommandResult> {
    const startedAt = performance.now()
    checkRunOptions(options)
    const resolved = resolveCommand(command, options)
    const { vm, life, source, timeoutMs } = this.#host
    return await life.busy(async () => {
      const call = startProgram(vm, {
        begin: () => execProgram(vm.channel, requestOf(resolved, OUTPUT_LIMITS, options.timeoutMs ?? timeoutMs)),
        limits: OUTPUT_LIMITS,
        timeoutMs: options.timeoutMs ?? timeoutMs,
        onStdout: options.onStdout,
        onStderr: options.onStderr,
        signal: options.signal,
        explainRefusal,
      })
      void feed(call, options.stdin)
      return programResult(await call.outcome, { source, startedAt, mostUsage: vm.mostUsage })
    })
  }

  /**
   * Starts a command in the background. It goes on until it ends or the sandbox closes; by itself it does not keep the
   * sandbox from its idle time-out.
   * @returns its handle, when it has a process
   * @throws as `run`
   */
  async start(command: string | readonly string[], options: StartCommandOptions = {}): Promise<CommandHandle> {
    const startedAt = performance.now()
    checkStartOptions(options)
    const resolved = resolveCommand(command, options)
    const { vm, life, source } = this.#host
    const log = new OutputLog()
    const timeoutMs = options.timeoutMs ?? 0
    return await life.busy(async () => {
      let announced: number | undefined
      let announce: (pid: number) => void = () => undefined
      const started = new Promise<number>((resolve) => {
        announce = (pid) => {
          announced = pid
          resolve(pid)
        }
      })
      const call = startProgram(vm, {
        begin: () =>
          execProgram(vm.channel, requestOf(resolved, undefined, timeoutMs), { onStarted: (pid) => announce(pid) }),
        limits: { stdout: Infinity, stderr: Infinity },
        kept: OUTPUT_LIMITS,
        timeoutMs,
        onStdout: logged('stdout', log, options),
        onStderr: logged('stderr', log, options),
        signal: options.signal,
        explainRefusal,
      })
      call.outcome.then(
        () => log.end(),
        (error: unknown) => log.end(life.explain(error)),
      )
      const onTimeout = (): Error => {
        vm.end(`it did not start a program within ${START_TIMEOUT_MS} ms`)
        return new VmLostError('The VM does not answer', { dispatched: true })
      }
      // The program's end cannot overtake its start: an outcome that comes first is a failure.
      const early = call.outcome.then(() => {
        if (announced !== undefined) return announced
        const error = new ProtocolError('The guest ended a program that it had not started', { rule: 'started' })
        vm.end(error.message, error)
        throw error
      })
      const pid = await withDeadline(Promise.race([started, early]), { timeoutMs: START_TIMEOUT_MS, onTimeout })
      const resultOf = (outcome: ProgramOutcome): ProgramResult =>
        programResult(outcome, { source, startedAt, mostUsage: vm.mostUsage })
      const handle = new CommandHandle(pid, { vm, life, call, log, resultOf })
      this.#track(handle, command, resolved, call)
      return handle
    })
  }

  /** The commands that were started here and still run. */
  list(): readonly CommandInfo[] {
    return [...this.#running.values()]
  }

  #track(
    handle: CommandHandle,
    command: string | readonly string[],
    { cwd }: ResolvedCommand,
    call: ProgramCall<ProgramOutcome['end']>,
  ): void {
    const text = typeof command === 'string' ? command : command.join(' ')
    this.#running.set(handle, { pid: handle.pid, command: text, cwd, startedAt: new Date(), handle })
    void call.finished.then(() => this.#running.delete(handle))
  }
}

function requestOf(
  { argv, cwd, env }: ResolvedCommand,
  limits: typeof OUTPUT_LIMITS | undefined,
  timeoutMs: number,
): Parameters<typeof execProgram>[1] {
  return { argv, cwd, env, timeoutMs, stdoutLimit: limits?.stdout ?? 0, stderrLimit: limits?.stderr ?? 0 }
}

/** The caller's callback first: what it throws ends the command before anyone else has seen the chunk. */
function logged(stream: 'stdout' | 'stderr', log: OutputLog, options: CommandOptions) {
  const callback = stream === 'stdout' ? options.onStdout : options.onStderr
  return async (data: string, bytes: Uint8Array): Promise<void> => {
    await callback?.(data, bytes)
    await log.append({ stream, data, bytes })
  }
}

/** The request was checked here, so what the guest refuses is for want of processes or memory. */
function explainRefusal(error: unknown): CapacityError | undefined {
  if (!(error instanceof RequestRefusedError) || error.refusal !== 'spawn') return undefined
  return new CapacityError(
    `The guest cannot start another program: ${error.message}`,
    { waitedMs: 0 },
    { cause: error },
  )
}

/** Writes standard input and ends it. What the source throws is the call's failure; a program that has ended wants no more. */
async function feed(call: ProgramCall<ProgramOutcome['end']>, input: RunCommandOptions['stdin']): Promise<void> {
  const writer = call.exchange.writable(STREAMS.stdin)
  try {
    for await (const piece of piecesUntil(piecesOf(input), call.outcome)) {
      const bytes = bytesOf(piece, 'stdin')
      // That the program, or its VM, has ended is told by the call's outcome.
      if (!(await writer.write(bytes).catch(() => false))) return
    }
    writer.end()
  } catch (error) {
    call.fail(error)
  }
}

async function* piecesOf(input: RunCommandOptions['stdin']): AsyncGenerator<unknown, void, undefined> {
  if (typeof input === 'string' || input instanceof Uint8Array) yield input
  else if (input !== undefined) yield* input
}
