import { setTimeout as delay } from 'node:timers/promises'
import { BootError, type Logger, ProtocolError, type SandboxError, VmLostError } from '../base/index.ts'
import { type Channel, describeEnd, RequestRefusedError } from '../channel/index.ts'
import type { GroupUsage } from '../host/index.ts'
import { describeExit, formatVersion, type QemuProcess, saveState, type VmPlan } from '../qemu/index.ts'
import { type GuestIdentity, pingGuest, resumeGuest } from './agent-client.ts'

/** Measured milliseconds of the phases of a launch; a phase that did not take place is absent. */
export interface LaunchTiming {
  /** Waiting for room on this host. */
  readonly admissionMs?: number
  /** Starting QEMU until it answers. */
  readonly setupMs?: number
  /** From the guest's first instruction until its agent said hello. */
  readonly bootMs?: number
  /** Loading the state of a template and letting the guest go on. */
  readonly restoreMs?: number
  /** Handing clock, entropy, name and environment to the guest. */
  readonly connectMs: number
  /** Starting the interpreter. */
  readonly spawnMs?: number
}

export interface UsageBounds {
  readonly memoryBytes: number
  readonly cpuMs: number
}

/** Why a VM is no longer usable: the first cause, whatever followed from it. */
export interface VmEnd {
  /** Completes "The VM ended: …". */
  readonly reason: string
  /** Set when the guest broke the protocol. */
  readonly error?: ProtocolError
}

/** The channel breaks a moment before QEMU's exit is known; so long its cause is waited for. */
export const EXIT_CAUSE_WAIT_MS = 2_000

/**
 * A launched VM: one QEMU process and the channel to its agent.
 *
 * ```text
 *   ready ──── end(reason) ───────────────────▶ ending ── process dead ──▶ ended
 *     │ ▲ QEMU exits, channel breaks, guest      ▲
 *     │ └ violates the protocol ─────────────────┘
 * ```
 *
 * It has one owner, who calls `close`. `ended` resolves once, when the process is known to be dead.
 */
export class Vm implements AsyncDisposable {
  readonly channel: Channel
  readonly timing: LaunchTiming
  readonly ended: Promise<VmEnd>
  readonly #qemu: QemuProcess
  readonly #plan: VmPlan
  readonly #logger: Logger
  readonly #launchedAt = performance.now()
  #cause: VmEnd | undefined

  constructor(parts: { qemu: QemuProcess; plan: VmPlan; channel: Channel; timing: LaunchTiming; logger: Logger }) {
    this.#plan = parts.plan
    this.channel = parts.channel
    this.timing = parts.timing
    this.#qemu = parts.qemu
    this.#logger = parts.logger
    this.ended = this.#watch()
  }

  /** The version of the QEMU it runs in. */
  get qemuVersion(): string {
    return formatVersion(this.#qemu.qmp.version)
  }

  /** What its programs can have used at most since it was launched: whatever the guest says of them is no more. */
  get mostUsage(): UsageBounds {
    const { memoryMb, cpus } = this.#plan
    return { memoryBytes: memoryMb * 2 ** 20, cpuMs: (performance.now() - this.#launchedAt) * cpus }
  }

  /** The last lines of the boot log. */
  get bootLog(): string {
    return this.#qemu.bootLog.text()
  }

  /** What it has taken of the host so far. */
  hostUsage(): GroupUsage {
    return this.#qemu.hostUsage()
  }

  /** Lets the caller's process exit although this VM runs; QEMU dies with it. */
  unref(): void {
    this.#qemu.unref()
  }

  /**
   * Hands the guest its clock, fresh entropy, name and environment; nothing of a user's may run before. A VM that waited in
   * a pool is told again when it is handed out.
   */
  async adopt(identity: GuestIdentity, signal: AbortSignal): Promise<void> {
    await resumeGuest(this.channel, { ...identity, signal })
  }

  /** Whether the agent answers. Never rejects. */
  async isAlive(timeoutMs: number): Promise<boolean> {
    return await pingGuest(this.channel, timeoutMs).then(
      () => true,
      () => false,
    )
  }

  /**
   * Saves the VM as a template, into the files that its plan names, and ends it.
   * @throws QmpError · VmLostError when it ends meanwhile · AbortedError. The VM is dead then, too.
   */
  async saveAndClose(signal: AbortSignal): Promise<void> {
    const died = this.ended.then((end) => {
      throw this.lostError(end, false)
    })
    try {
      await Promise.race([saveState(this.#qemu, this.#plan, signal), died])
    } finally {
      // QEMU has closed its files only when it is dead.
      died.catch(() => undefined)
      await this.close('it was saved')
    }
  }

  /** Ends the VM at once for `reason`, unless it is ending already. Does not wait; `ended` tells when it is dead. */
  end(reason: string, error?: ProtocolError): void {
    if (this.#cause === undefined) {
      this.#cause = error === undefined ? { reason } : { reason, error }
      this.#logger.debug('VM ending', { reason })
    }
    // A stop that fails leaves `exited` pending, which the supervisor reports; there is nothing to add here.
    void this.#qemu.stop('forced', this.#cause.reason)
  }

  /** Ends the VM and waits until its process is dead. Safe to call at any time, any number of times. */
  async close(reason = 'it was closed'): Promise<void> {
    this.end(reason)
    await this.#dead()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /**
   * The error to give a caller whose request failed with `error`: what ended the VM when it has ended, else the error
   * itself.
   * @param dispatched whether the caller's code may have run
   */
  async explain(error: unknown, dispatched: boolean): Promise<unknown> {
    if (error instanceof ProtocolError) {
      this.end(error.message, error)
      return error
    }
    if (error instanceof RequestRefusedError) {
      const details = { phase: 'run', bootLog: this.bootLog, stderr: this.#qemu.stderr.text() }
      return new BootError(`The interpreter did not start: ${error.message}`, details, {
        retryable: true,
        cause: error,
      })
    }
    if (!this.channel.isClosed) return error
    return this.lostError(await this.#dead(), dispatched)
  }

  lostError(end: VmEnd, dispatched: boolean): SandboxError {
    if (end.error !== undefined) return end.error
    return new VmLostError(`The VM ended: ${end.reason}`, {
      dispatched,
      stderr: this.#qemu.stderr.text(),
      bootLog: this.bootLog,
    })
  }

  // The VM itself does not hold the caller's process open (`unref`); waiting for its end does.
  async #dead(): Promise<VmEnd> {
    const hold = setInterval(() => undefined, 2 ** 31 - 1)
    try {
      return await this.ended
    } finally {
      clearInterval(hold)
    }
  }

  async #watch(): Promise<VmEnd> {
    void this.channel.closed.then(async (end) => {
      if (end.kind === 'protocol-error') return this.end(end.error.message, end.error)
      if (end.kind !== 'peer-closed') return this.end(describeEnd(end))
      // A channel that the peer closed is most often the shadow of QEMU's own end, which tells more.
      const exit = await Promise.race([this.#qemu.exited, delay(EXIT_CAUSE_WAIT_MS, undefined, { ref: false })])
      this.end(exit === undefined ? 'the guest closed its channel' : describeExit(exit))
    })
    const exit = await this.#qemu.exited
    this.#cause ??= { reason: describeExit(exit) }
    await this.channel.close()
    return this.#cause
  }
}
