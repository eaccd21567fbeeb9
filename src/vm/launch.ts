import { setTimeout as delay } from 'node:timers/promises'
import {
  abortedError,
  AbortedError,
  BootError,
  type Logger,
  ProtocolError,
  SandboxError,
  throwIfAborted,
  withDeadline,
} from '../base/index.ts'
import { Channel, RequestRefusedError } from '../channel/index.ts'
import { canPass, continueGuest, describeExit, loadState, QemuProcess, QmpError, type VmPlan } from '../qemu/index.ts'
import { type GuestIdentity, resumeGuest, setClock, startRepl } from './agent-client.ts'
import { BOOT_LIMIT_MS, nextBootDelayMs } from './boot-retry.ts'
import { EXIT_CAUSE_WAIT_MS, type LaunchTiming, Vm } from './vm.ts'

export interface LaunchOptions {
  /** The interpreter that is warm when the VM is handed over. */
  readonly language: string
  readonly identity: GuestIdentity
  /** A QEMU started ahead that has loaded the state of the plan's template; the launch owns it from here on. */
  readonly ahead?: QemuProcess | undefined
  readonly onBootLog: ((line: string) => void) | undefined
  readonly signal: AbortSignal
  readonly logger: Logger
  /** Milliseconds that one boot may take. @default BOOT_LIMIT_MS */
  readonly bootLimitMs?: number
  /** Called when a boot failed and is tried again. */
  readonly onRetry: () => void
}

/** The interpreter's context that a launch starts. */
const DEFAULT_CONTEXT = 'default'

/**
 * Launches a VM and returns it ready to run code. A boot that fails for a cause that can pass is tried again; the
 * resumption of a template is tried once, because whoever wants a VM can boot one instead.
 * @throws BootError with boot log and stderr · DependencyError · AbortedError. Nothing is left behind.
 */
export async function launchVm(plan: VmPlan, options: LaunchOptions): Promise<Vm> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await launchOnce(plan, options)
    } catch (error) {
      throwIfAborted(options.signal)
      // A boot that failed has left its traces in a RAM file, and a template can be replaced by a boot.
      if (plan.memory.kind !== 'anonymous') throw error
      const retryable = error instanceof SandboxError && error.retryable
      const delayMs = nextBootDelayMs(attempt, retryable, Math.random())
      if (delayMs === undefined) throw error
      options.onRetry()
      options.logger.warn('boot failed, trying again', { attempt, delayMs, cause: String(error) })
      await delay(delayMs, undefined, { signal: options.signal }).catch(() => {
        throw abortedError(options.signal)
      })
    }
  }
}

/**
 * One try: a boot, or the resumption of a template, as the plan's memory says. Each phase is measured, and whatever fails
 * takes QEMU with it.
 */
async function launchOnce(plan: VmPlan, options: LaunchOptions): Promise<Vm> {
  const { signal, logger, identity, onBootLog } = options
  const clock = new PhaseClock(logger)
  const { ahead } = options
  const start = { signal, logger, ...(onBootLog === undefined ? {} : { onBootLog }) }
  const qemu = ahead ?? (await QemuProcess.start(plan, start))
  let channel: Channel | undefined
  try {
    const phases = new Phases(qemu, signal, options.bootLimitMs ?? BOOT_LIMIT_MS)
    const timing: Mutable<LaunchTiming> = { connectMs: 0 }
    if (ahead === undefined) timing.setupMs = clock.lap('setup')
    if (plan.memory.kind === 'template') {
      if (ahead === undefined) await phases.run('restore', loadState(qemu, plan, signal))
      await phases.run('restore', continueGuest(qemu, signal))
      channel = Channel.resume(qemu.channelSocket, { logger })
      timing.restoreMs = clock.lap('restore')
    } else {
      channel = await phases.run(
        'hello',
        Channel.open(qemu.channelSocket, { signal, logger, helloTimeoutMs: BOOT_LIMIT_MS }),
      )
      timing.bootMs = clock.lap('boot')
    }
    await phases.run('resume', resumeGuest(channel, { ...identity, signal }))
    // Not waited for: what is asked next stands behind it, and a channel that breaks tells whoever asks.
    setClock(channel).catch(() => undefined)
    timing.connectMs = clock.lap('connect')
    // A template was saved with its interpreter running.
    if (plan.memory.kind !== 'template') {
      const { language } = options
      await phases.run(`start ${language}`, startRepl(channel, { language, context: DEFAULT_CONTEXT, signal }))
      timing.spawnMs = clock.lap('spawn')
    }
    return new Vm({ qemu, plan, channel, timing, logger })
  } catch (error) {
    // Dead before the error is out: whoever catches it may rely on nothing being left.
    await qemu.stop('forced', 'its launch failed')
    await channel?.close()
    throw error
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Waits for the phases of one launch: each ends with its result, QEMU's own end, the launch's limit or the caller's signal. */
class Phases {
  readonly #qemu: QemuProcess
  readonly #signal: AbortSignal
  readonly #limitMs: number
  readonly #endsAt: number

  constructor(qemu: QemuProcess, signal: AbortSignal, limitMs: number) {
    this.#qemu = qemu
    this.#signal = signal
    this.#limitMs = limitMs
    this.#endsAt = performance.now() + limitMs
  }

  async run<T>(name: string, work: Promise<T>): Promise<T> {
    const died = this.#qemu.exited.then((exit) => {
      throw this.#error(name, `the VM ended while it was booting: ${describeExit(exit)}`, canPass(exit))
    })
    try {
      return await withDeadline(Promise.race([work, died]), {
        timeoutMs: Math.max(1, this.#endsAt - performance.now()),
        signal: this.#signal,
        onTimeout: () =>
          this.#error(name, `the guest did not get past this phase within ${this.#limitMs / 1000} s`, true),
      })
    } catch (error) {
      if (error instanceof BootError || error instanceof ProtocolError || error instanceof AbortedError) throw error
      // QEMU or the guest is up and said no: it would say the same the next time.
      if (error instanceof RequestRefusedError || isRefusal(error)) throw this.#error(name, error.message, false, error)
      // The channel breaks a moment before QEMU's exit is known, and QEMU's exit tells more.
      const exit = await Promise.race([this.#qemu.exited, delay(EXIT_CAUSE_WAIT_MS, undefined, { ref: false })])
      if (exit !== undefined)
        throw this.#error(name, `the VM ended while it was booting: ${describeExit(exit)}`, canPass(exit), error)
      throw this.#error(name, error instanceof Error ? error.message : String(error), true, error)
    }
  }

  #error(phase: string, why: string, retryable: boolean, cause?: unknown): BootError {
    const details = { phase, bootLog: this.#qemu.bootLog.text(), stderr: this.#qemu.stderr.text() }
    return new BootError(`The VM did not become ready (phase "${phase}"): ${why}`, details, { retryable, cause })
  }
}

function isRefusal(error: unknown): error is QmpError {
  return error instanceof QmpError && error.failure === 'refused'
}

/** Measures consecutive phases; each is a `[timing]` line of the debug log. */
class PhaseClock {
  readonly #logger: Logger
  #last = performance.now()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Milliseconds since the last lap. */
  lap(phase: string): number {
    const now = performance.now()
    const ms = now - this.#last
    this.#last = now
    this.#logger.debug('[timing]', { phase, ms: Math.round(ms * 10) / 10 })
    return ms
  }
}
