import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Logger } from '../base/index.ts'
import type { InstalledPackage } from '../layer/index.ts'
import type { HostNetwork, NetworkMetrics, NetworkOptions } from '../network/index.ts'
import type { LaunchTiming, Vm } from '../vm/index.ts'
import { Commands } from './commands/commands.ts'
import { Contexts } from './contexts.ts'
import { parseProgramError } from './displayed-value.ts'
import { FileHost } from './files/file-tool.ts'
import { SandboxFiles } from './files/files.ts'
import { checkCode, checkEnv } from './input-checks.ts'
import { type Language, parseLanguage } from './language.ts'
import { Lifetime, type SandboxEnd } from './lifetime.ts'
import { checkRunCodeOptions, limits, type ResolvedSandboxOptions, type RunCodeOptions } from './options.ts'
import { parseOptions, signal as signalSchema } from './parse-options.ts'
import type { PortListener } from './ports/port-listener.ts'
import { type PortMetrics, Ports } from './ports/ports.ts'
import { OUTPUT_LIMITS, programResult, type RunResult, type Source } from './result.ts'
import { type RunCall, startRun } from './run-call.ts'
import { SandboxNetwork } from './sandbox-network.ts'

/** How a sandbox got its VM. */
export interface Launch {
  readonly source: Source
  readonly timing: LaunchTiming
  /** Installed packages. @default none */
  readonly packages?: readonly InstalledPackage[]
}

/** What a sandbox is made of. */
export interface SandboxParts {
  /** The sandbox owns it from here on. */
  readonly vm: Vm
  readonly options: ResolvedSandboxOptions
  readonly launch: Launch
  /** Those of `options.ports`; the sandbox owns them from here on. */
  readonly listeners: readonly PortListener[]
  readonly host: HostNetwork
  readonly logger: Logger
}

/** What has gone through a sandbox since it was made. */
export interface SandboxMetrics {
  /** What its programs did on the network, and what they were refused. */
  readonly network: NetworkMetrics
  /** What came to its servers through exposed ports. */
  readonly ports: PortMetrics
}

export interface SandboxInfo {
  readonly id: string
  readonly language: Language
  /** Everything that was installed for `packages`, with the versions they were resolved to. */
  readonly packages: readonly InstalledPackage[]
  readonly memoryMb: number
  readonly cpus: number
  readonly source: Source
  readonly createdAt: Date
  /** Measured milliseconds of the phases that took place between the call and the sandbox. */
  readonly launch: LaunchTiming
  readonly metadata: Readonly<Record<string, string>>
}

const setNetworkOptions = z.strictObject({ signal: signalSchema.optional() })
const idleTimeout = z.strictObject({ idleTimeoutMs: limits.idleTimeoutMs })

/** A VM with interpreters whose state lives from call to call, with commands and files. Made by `Scheduler.create`. */
export class Sandbox implements AsyncDisposable {
  readonly id: string = randomUUID()
  /** Programs beside the interpreters. */
  readonly commands: Commands
  /** The interpreters. */
  readonly contexts: Contexts
  /** The user's files in the guest. */
  readonly files: SandboxFiles
  /** Its servers, made reachable on this host. */
  readonly ports: Ports
  /** Resolves once, with why the sandbox ended, when its VM is known to be dead. */
  readonly closed: Promise<SandboxEnd>
  readonly #vm: Vm
  readonly #life: Lifetime
  readonly #options: ResolvedSandboxOptions
  readonly #launch: Launch
  readonly #network: SandboxNetwork
  readonly #createdAt = new Date()

  /** Use `Scheduler.create`. */
  constructor({ vm, options, launch, listeners, host, logger }: SandboxParts) {
    this.#vm = vm
    this.#options = options
    this.#launch = launch
    this.#life = new Lifetime(vm, options.idleTimeoutMs)
    this.closed = this.#life.closed
    this.contexts = new Contexts(vm, this.#life, options.language)
    const { source } = launch
    this.commands = new Commands({ vm, life: this.#life, source, timeoutMs: options.timeoutMs })
    this.files = new SandboxFiles(new FileHost(vm, this.#life), options.memoryMb)
    this.ports = new Ports({ vm, life: this.#life, logger, listeners })
    this.#network = new SandboxNetwork({ vm, life: this.#life, policy: options.network, host, logger })
    vm.unref()
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
    const program = {
      code: checkCode(code),
      env: checkEnv(options.env, 'env'),
      timeoutMs: options.timeoutMs ?? this.#options.timeoutMs,
      stdoutLimit: OUTPUT_LIMITS.stdout,
      stderrLimit: OUTPUT_LIMITS.stderr,
    }
    return await this.#life.busy(async () => {
      const context = this.contexts.obtain(language, options.context)
      const leave = await context.queue.enter(options.signal)
      let run: RunCall
      try {
        this.#life.throwIfEnded()
        run = startRun(this.#vm, { language, context: context.name, ...program }, options)
      } catch (error) {
        leave()
        throw error
      }
      context.running = run.exchange.id
      // Whoever gave the call up has not been told what became of the state.
      void run.exchange.response.then(
        (end) => (context.lost ||= run.hasFailed() && end.state === 'reset'),
        () => undefined,
      )
      void run.finished.then(() => {
        context.running = undefined
        leave()
        this.contexts.settle(context)
      })
      const outcome = await run.outcome
      const { error } = outcome.end
      const state = context.lost ? 'reset' : outcome.end.state
      context.lost = false
      return {
        ...programResult(outcome, { source: this.#launch.source, startedAt, mostUsage: this.#vm.mostUsage }),
        state,
        results: run.results,
        ...(error === undefined ? {} : { error: parseProgramError(error) }),
      }
    })
  }

  /**
   * Changes how long the sandbox may stay unused before it closes itself.
   * @param ms milliseconds, at most 86 400 000; 0 = never
   */
  setTimeout(ms: number): void {
    parseOptions(idleTimeout, { idleTimeoutMs: ms })
    this.#life.setIdleTimeout(ms)
  }

  /**
   * Resolves when the network of the options is there; nothing of the user's may run before. For `Scheduler`.
   * @throws BootError · VmLostError · AbortedError. The sandbox is of no use then.
   */
  async connectNetwork(signal: AbortSignal): Promise<void> {
    await this.#network.begin(signal)
  }

  /**
   * Changes what programs may reach, at once: open connections that the new rules do not allow are reset. The rules hold from the
   * call on, whatever becomes of the guest's answer; without an answer the guest may not know yet that it has a network, or none.
   * @param network as the option `network`
   * @throws InvalidInputError · SandboxClosedError · VmLostError · AbortedError
   */
  async setNetwork(network: NetworkOptions, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    parseOptions(setNetworkOptions, options)
    await this.#network.change(network, options.signal)
  }

  /** What has gone through its network and its ports so far; may be read after the end, too. */
  metrics(): SandboxMetrics {
    return { network: this.#network.metrics(), ports: this.ports.metrics() }
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
      packages: this.#launch.packages ?? [],
      launch: this.#launch.timing,
    }
  }

  /** The last lines that kernel and agent wrote to the console. */
  bootLog(): string {
    return this.#vm.bootLog
  }

  /** Ends the sandbox and waits until its VM is dead. Safe at any time, any number of times. */
  async close(): Promise<void> {
    await this.#life.close({ reason: 'closed', message: 'it was closed' })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
