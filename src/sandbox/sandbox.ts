import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { InvalidInputError, SandboxClosedError, VmLostError } from '../base/index.ts'
import type { LaunchTiming, Vm, VmEnd } from '../vm/index.ts'
import { CallQueue } from './call-queue.ts'
import { parseProgramError } from './displayed-value.ts'
import { checkCode, checkEnv } from './input-checks.ts'
import { type Language, parseLanguage } from './language.ts'
import {
  checkRunCodeOptions,
  limits,
  parseOptions,
  type ResolvedSandboxOptions,
  type RunCodeOptions,
} from './options.ts'
import { OUTPUT_LIMITS, type RunResult, type Source } from './result.ts'
import { type RunOutcome, startRun } from './run-call.ts'

/** Why a sandbox ended. */
export interface SandboxEnd {
  readonly reason: 'closed' | 'idle' | 'vm-lost' | 'protocol'
  /** A sentence for people. */
  readonly message: string
}

/** How a sandbox got its VM. */
export interface Launch {
  readonly source: Source
  readonly timing: LaunchTiming
}

export interface SandboxInfo {
  readonly id: string
  readonly language: Language
  readonly memoryMb: number
  readonly cpus: number
  readonly source: Source
  readonly createdAt: Date
  /** Measured milliseconds of the phases that took place between the call and the sandbox. */
  readonly launch: LaunchTiming
  readonly metadata: Readonly<Record<string, string>>
}

/** The context a call uses unless it names another. */
const DEFAULT_CONTEXT = 'default'

/** Contexts that one sandbox keeps queues for; the agent has the same bound on interpreters. */
const MAX_CONTEXTS = 64

const idleTimeout = z.strictObject({ idleTimeoutMs: limits.idleTimeoutMs })

/** A VM with interpreters whose state lives from call to call. Made by `Scheduler.create`. */
export class Sandbox implements AsyncDisposable {
  readonly id: string = randomUUID()
  /** Resolves once, with why the sandbox ended, when its VM is known to be dead. */
  readonly closed: Promise<SandboxEnd>
  readonly #vm: Vm
  readonly #options: ResolvedSandboxOptions
  readonly #launch: Launch
  readonly #createdAt = new Date()
  readonly #queues = new Map<string, CallQueue>()
  #end: SandboxEnd | undefined
  #calls = 0
  #idleTimeoutMs: number
  #idleTimer: NodeJS.Timeout | undefined

  /** Use `Scheduler.create`. The sandbox owns the VM from here on. */
  constructor(vm: Vm, options: ResolvedSandboxOptions, launch: Launch) {
    this.#vm = vm
    this.#options = options
    this.#launch = launch
    this.#idleTimeoutMs = options.idleTimeoutMs
    this.closed = vm.ended.then((end) => {
      clearTimeout(this.#idleTimer)
      this.#end ??= endOf(end)
      // Each that waited finds the sandbox ended, even if the call before it is held up by a callback of its own.
      for (const queue of this.#queues.values()) queue.open()
      return this.#end
    })
    vm.unref()
    this.#armIdleTimer()
  }

  /**
   * Runs code in an interpreter of this sandbox; calls on one context run one after the other.
   * @returns how the program ended; a failing program is a result
   * @throws InvalidInputError before anything runs · SandboxClosedError when the sandbox has ended · VmLostError,
   * ProtocolError when it ends meanwhile · AbortedError · whatever a callback of the call threw
   */
  async runCode(code: string, options: RunCodeOptions = {}): Promise<RunResult> {
    const startedAt = performance.now()
    checkRunCodeOptions(options)
    const language = options.language === undefined ? this.#options.language : parseLanguage(options.language)
    const context = options.context ?? DEFAULT_CONTEXT
    const request = {
      language,
      context,
      code: checkCode(code),
      env: checkEnv(options.env, 'env'),
      timeoutMs: options.timeoutMs ?? this.#options.timeoutMs,
      stdoutLimit: OUTPUT_LIMITS.stdout,
      stderrLimit: OUTPUT_LIMITS.stderr,
    }
    return await this.#busy(async () => {
      const leave = await this.#queueOf(`${language}/${context}`).enter(options.signal)
      if (this.#end !== undefined) {
        leave()
        throw closedError(this.#end)
      }
      const run = startRun(this.#vm, request, options)
      void run.finished.then(leave)
      return this.#resultOf(await run.outcome, startedAt)
    })
  }

  /**
   * Changes how long the sandbox may stay unused before it closes itself.
   * @param ms milliseconds, at most 86 400 000; 0 = never
   */
  setTimeout(ms: number): void {
    parseOptions(idleTimeout, { idleTimeoutMs: ms })
    this.#idleTimeoutMs = ms
    if (this.#calls === 0 && this.#end === undefined) this.#armIdleTimer()
  }

  /** What this sandbox is. */
  info(): SandboxInfo {
    const { language, memoryMb, cpus, metadata } = this.#options
    return {
      id: this.id,
      language,
      memoryMb,
      cpus,
      metadata,
      source: this.#launch.source,
      createdAt: this.#createdAt,
      launch: this.#launch.timing,
    }
  }

  /** The last lines that kernel and agent wrote to the console. */
  bootLog(): string {
    return this.#vm.bootLog
  }

  /** Ends the sandbox and waits until its VM is dead. Safe at any time, any number of times. */
  async close(): Promise<void> {
    await this.#close({ reason: 'closed', message: 'it was closed' })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(end: SandboxEnd): Promise<void> {
    this.#end ??= end
    clearTimeout(this.#idleTimer)
    await this.#vm.close(this.#end.message)
    await this.closed
  }

  async #busy<T>(work: () => Promise<T>): Promise<T> {
    if (this.#end !== undefined) throw closedError(this.#end)
    this.#calls += 1
    clearTimeout(this.#idleTimer)
    try {
      return await work()
    } catch (error) {
      throw this.#end !== undefined && this.#isOwnEnd(error) ? closedError(this.#end) : error
    } finally {
      this.#calls -= 1
      if (this.#calls === 0 && this.#end === undefined) this.#armIdleTimer()
    }
  }

  // A call that fails because its sandbox is being closed tells that, not that a machine was lost.
  #isOwnEnd(error: unknown): boolean {
    return error instanceof VmLostError && (this.#end?.reason === 'closed' || this.#end?.reason === 'idle')
  }

  #queueOf(key: string): CallQueue {
    let queue = this.#queues.get(key)
    if (queue === undefined) {
      if (this.#queues.size >= MAX_CONTEXTS) {
        throw new InvalidInputError(`context: expected at most ${MAX_CONTEXTS} contexts in one sandbox`, {
          field: 'context',
        })
      }
      queue = new CallQueue()
      this.#queues.set(key, queue)
    }
    return queue
  }

  #armIdleTimer(): void {
    clearTimeout(this.#idleTimer)
    if (this.#idleTimeoutMs === 0) return
    this.#idleTimer = setTimeout(() => {
      void this.#close({ reason: 'idle', message: `it was idle for ${this.#idleTimeoutMs} ms` })
    }, this.#idleTimeoutMs)
    this.#idleTimer.unref()
  }

  #resultOf(outcome: RunOutcome, startedAt: number): RunResult {
    const { end, reason, stdout, stderr, results } = outcome
    return {
      stdout,
      stderr,
      stdoutTruncated: end.stdoutTruncated,
      stderrTruncated: end.stderrTruncated,
      exitCode: end.exitCode,
      reason,
      state: end.state,
      results,
      ...(end.error === undefined ? {} : { error: parseProgramError(end.error) }),
      source: this.#launch.source,
      timing: {
        ...(end.spawnMs > 0 ? { spawnMs: end.spawnMs } : {}),
        executeMs: end.executeMs,
        totalMs: performance.now() - startedAt,
      },
      usage: { guestCpuMs: end.cpuMs, guestPeakBytes: end.peakBytes },
    }
  }
}

function closedError(end: SandboxEnd): SandboxClosedError {
  return new SandboxClosedError(`The sandbox has ended: ${end.message}. Create a new one.`, { reason: end.reason })
}

function endOf(end: VmEnd): SandboxEnd {
  return { reason: end.error === undefined ? 'vm-lost' : 'protocol', message: end.reason }
}
