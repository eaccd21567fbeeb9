import type { Duplex } from 'node:stream'
import { chown } from 'node:fs/promises'
import { constants } from 'node:os'
import { z } from 'zod'
import { BootError, DependencyError, type Logger, TextRing, throwIfAborted } from '../base/index.ts'
import { childrenOf, type GroupUsage, readProcessUsage, VmGroup } from '../host/index.ts'
import { BootLog } from './boot-log.ts'
import { leaseUid, type UidLease } from './jail-uid.ts'
import { type QemuChild, type ChildEnd, childDead, killTree, spawnQemu } from './qemu-child.ts'
import { confine, type QemuCommand, renderQemuCommand } from './qemu-command.ts'
import { canPass, describeExit, type ExitCause, findPanic, type QemuExit, STDERR_TAIL_LENGTH } from './qemu-exit.ts'
import { QmpClient, QmpError } from './qmp-client.ts'
import type { QmpEvent } from './qmp-messages.ts'
import { groupLimits } from './vm-limits.ts'
import type { Accelerator, ProcessPlan, VmPlan } from './vm-plan.ts'

export interface QemuStartOptions {
  readonly logger: Logger
  readonly signal?: AbortSignal | undefined
  /** Gets each line of the boot log as it comes; what it throws is dropped. */
  readonly onBootLog?: (line: string) => void
}

/** QEMU answers within 30 ms on an idle machine; this much later the host is not slow but stuck. */
const GREETING_TIMEOUT_MS = 15_000

/** How long a QEMU that was asked to quit may take before it is killed. It has nothing to save. */
const QUIT_TIMEOUT_MS = 2_000

/** Bytes of stderr kept: QEMU says one line before it gives up. */
const STDERR_BYTES = 16_384

/**
 * One QEMU process in its jail, from its start to its confirmed death.
 *
 * ```text
 *   spawned ── greeting ──▶ running ── first cause ──▶ ending ── tree dead ──▶ exited
 *      └───────── dies, no greeting in time, aborted ────▲
 * ```
 *
 * The first cause of the end is the one that `exited` tells; what follows from it changes nothing.
 */
export class QemuProcess implements AsyncDisposable {
  readonly stderr = new TextRing(STDERR_BYTES)
  /** Resolves when the process tree is known to be dead. Never rejects. */
  readonly exited: Promise<QemuExit>
  readonly #child: QemuChild
  readonly #bootLog: BootLog
  readonly #logger: Logger
  readonly #holdings: Holdings
  #innermost: number | undefined
  #qemuPid: number | undefined
  #qmp: QmpClient | undefined
  #cause: ExitCause | undefined
  #killTimer: NodeJS.Timeout | undefined
  #onMigration: ((status: string) => void) | undefined

  private constructor(command: QemuCommand, accelerator: Accelerator, holdings: Holdings, options: QemuStartOptions) {
    this.#logger = options.logger
    this.#holdings = holdings
    this.#bootLog = new BootLog(options.onBootLog)
    this.#child = spawnQemu(command, accelerator)
    void this.#child.innermost.then((pid) => (this.#innermost = pid))
    this.#child.stderr.on('data', (chunk: Buffer) => this.stderr.push(chunk))
    this.#child.console.on('data', (chunk: Buffer) => this.#bootLog.push(chunk))
    // A reset by the dying peer is no news: the exit is, and it always follows.
    for (const stream of [this.#child.stderr, this.#child.console, this.#child.qmp, this.#child.channel])
      stream.on('error', ignore)
    this.exited = this.#watch()
  }

  /**
   * Starts the plan's QEMU and waits until it answers.
   * @throws BootError with QEMU's stderr when it dies or stays silent · DependencyError when its program is missing ·
   * AbortedError. Nothing is left running.
   */
  static async start(plan: VmPlan, options: QemuStartOptions): Promise<QemuProcess> {
    return await QemuProcess.#start(plan, options, (uid, group) => renderQemuCommand(plan, uid, group))
  }

  /** As `start`, with other arguments to the same program in the same jail: how a QEMU is asked about itself. */
  static async startWith(plan: ProcessPlan, argv: readonly string[], options: QemuStartOptions): Promise<QemuProcess> {
    return await QemuProcess.#start(plan, options, (uid, group) => confine(plan, uid, argv, group))
  }

  static async #start(
    plan: ProcessPlan,
    options: QemuStartOptions,
    render: (uid: number | undefined, group: string | undefined) => QemuCommand,
  ): Promise<QemuProcess> {
    throwIfAborted(options.signal)
    const maker = plan.jail.kind === 'bubblewrap' ? plan.jail.maker : plan.jail.user
    const lease = maker.kind === 'root' ? await leaseUid(plan, maker.uids) : undefined
    if (lease !== undefined) await giveWritable(plan, lease)
    const group = await makeGroup(plan, lease)
    const command = render(lease?.uid, group?.directory)
    options.logger.debug('starting QEMU', { command: [command.file, ...command.argv].join(' ') })
    const qemu = await QemuProcess.#spawn(command, plan.accelerator, { lease, group }, options)
    try {
      await qemu.#greet(options.signal)
      return qemu
    } catch (error) {
      // A closed QMP is the shadow of QEMU's own end: wait for that, it tells why.
      if (error instanceof QmpError && error.failure === 'closed')
        setTimeout(() => qemu.#kill(), QUIT_TIMEOUT_MS).unref()
      else await qemu.stop('forced', 'its start failed')
      throw await qemu.#startError(command, error)
    }
  }

  static async #spawn(
    command: QemuCommand,
    accelerator: Accelerator,
    holdings: Holdings,
    options: QemuStartOptions,
  ): Promise<QemuProcess> {
    try {
      return new QemuProcess(command, accelerator, holdings, options)
    } catch (error) {
      await giveBack(holdings)
      const message = error instanceof Error ? error.message : String(error)
      throw new BootError(
        `The VM did not start: ${message}`,
        { phase: 'qemu', bootLog: '', stderr: '' },
        { cause: error },
      )
    }
  }

  get qmp(): QmpClient {
    if (this.#qmp === undefined) throw new Error('QMP is used before its greeting')
    return this.#qmp
  }

  /** The host's end of the one virtio-serial port. Its reader must handle its errors and its end. */
  get channelSocket(): Duplex {
    return this.#child.channel
  }

  /** The last of what the guest wrote to its console. */
  get bootLog(): TextRing {
    return this.#bootLog.ring
  }

  /** Process id of the outermost process, undefined if it never started. */
  get pid(): number | undefined {
    return this.#child.process.pid
  }

  /** What the VM has taken of the host so far: of its control group, or else of QEMU's process. */
  hostUsage(): GroupUsage {
    const ofGroup = this.#holdings.group?.usage()
    if (ofGroup?.cpuMs !== undefined && ofGroup.peakBytes !== undefined) return ofGroup
    this.#qemuPid ??= this.#findQemu()
    const ofProcess = this.#qemuPid === undefined ? undefined : readProcessUsage(this.#qemuPid)
    return { cpuMs: ofGroup?.cpuMs ?? ofProcess?.cpuMs, peakBytes: ofGroup?.peakBytes ?? ofProcess?.peakBytes }
  }

  /** In a jail QEMU is the child of the namespace's first process, as the host numbers them. */
  #findQemu(): number | undefined {
    if (this.#child.jail === undefined) return this.#child.process.pid
    return this.#innermost === undefined ? undefined : childrenOf(this.#innermost)[0]
  }

  /** Lets the host process end although this QEMU runs; it dies with the host process. */
  unref(): void {
    for (const part of this.#handles()) part.unref()
  }

  /** Takes `unref` back. Whoever waits for anything of a QEMU that was let go needs it: else the host process ends first. */
  ref(): void {
    for (const part of this.#handles()) part.ref()
  }

  /**
   * Ends QEMU and resolves when it is known to be dead. `graceful` asks it to quit first, `forced` kills. Any number of
   * calls at any time: the first cause stands, and a forced one overtakes a graceful one.
   * @param reason completes "stopped because …"
   */
  async stop(speed: 'graceful' | 'forced', reason: string): Promise<void> {
    this.#cause ??= { kind: 'asked', reason }
    if (speed === 'forced' || this.#qmp === undefined) this.#kill()
    else this.#quit(this.#qmp)
    await this.exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('forced', 'it was disposed of')
  }

  /** Everything by which Node counts this QEMU as work to be done. */
  #handles(): readonly Handle[] {
    const { process: child, stderr, qmp, console: console_, channel, jail } = this.#child
    const streams: readonly unknown[] = [stderr, qmp, console_, channel, jail]
    return [child, ...streams.filter(isHandle)]
  }

  async #greet(signal: AbortSignal | undefined): Promise<void> {
    this.#qmp = await QmpClient.open(this.#child.qmp, {
      timeoutMs: GREETING_TIMEOUT_MS,
      signal,
      onEvent: (event) => this.#onEvent(event),
      onMalformed: (reason) => this.#onMalformed(reason),
    })
  }

  /** Calls `listener` with each status that QEMU reports of a migration, until it is replaced. */
  onMigration(listener: ((status: string) => void) | undefined): void {
    this.#onMigration = listener
  }

  #onEvent(event: QmpEvent): void {
    if (event.name === 'MIGRATION') this.#onMigration?.(event.status)
    if (event.name !== 'SHUTDOWN') return
    if (event.reason === 'host-signal') this.#cause ??= { kind: 'signal', signal: 'a signal from outside' }
    else if (event.guest) this.#cause ??= this.#guestEnd(event.reason)
  }

  // microvm has no panic device: a panic arrives as the reset it causes, and the boot log tells the two apart.
  #guestEnd(reason: string): ExitCause {
    const message = findPanic(this.bootLog.text())
    return message === undefined ? { kind: 'guest-shutdown', reason } : { kind: 'guest-panic', message }
  }

  #onMalformed(reason: string): void {
    this.#cause ??= { kind: 'broke-qmp', reason }
    this.#kill()
  }

  #quit(qmp: QmpClient): void {
    if (this.#killTimer !== undefined) return
    this.#killTimer = setTimeout(() => this.#kill(), QUIT_TIMEOUT_MS)
    qmp.execute('quit', {}, { result: z.unknown(), timeoutMs: QUIT_TIMEOUT_MS }).catch(() => this.#kill())
  }

  #kill(): void {
    // Never rejects, and `exited` tells when it has worked.
    void killTree(this.#child)
  }

  async #watch(): Promise<QemuExit> {
    const end = await childDead(this.#child)
    clearTimeout(this.#killTimer)
    this.#bootLog.finish()
    this.#qmp?.close()
    const { group } = this.#holdings
    const killedByGroup = group?.ranOutOfMemory === true ? ({ kind: 'memory-limit' } as const) : undefined
    await giveBack(this.#holdings)
    const exit: QemuExit = {
      ...(this.#lateGuestCause(end) ?? this.#cause ?? killedByGroup ?? causeOf(end)),
      stderrTail: this.stderr.text().slice(-STDERR_TAIL_LENGTH),
    }
    this.#logger.debug('QEMU is dead', { cause: describeExit(exit) })
    return exit
  }

  // The console may deliver the panic's line after QMP has told of the reset.
  #lateGuestCause(end: ChildEnd): ExitCause | undefined {
    if (this.#cause?.kind !== 'guest-shutdown' || end.code !== 0) return undefined
    return this.#guestEnd(this.#cause.reason)
  }

  async #startError(command: QemuCommand, error: unknown): Promise<unknown> {
    const exit = await this.exited
    if (exit.kind === 'spawn-failed') {
      return new DependencyError(
        `${command.file} could not be started: ${exit.error}`,
        { dependency: command.file, fix: 'sbx doctor' },
        error,
      )
    }
    if (!(error instanceof QmpError)) return error
    const what = exit.kind === 'asked' ? error.message : describeExit(exit)
    return new BootError(
      `The VM did not start: ${what}`,
      { phase: 'qemu', bootLog: this.bootLog.text(), stderr: this.stderr.text() },
      { retryable: canPass(exit), cause: error },
    )
  }
}

interface Handle {
  ref(): void
  unref(): void
}

function isHandle(stream: unknown): stream is Handle {
  return typeof stream === 'object' && stream !== null && 'ref' in stream && 'unref' in stream
}

/** What QEMU is to write becomes its uid's. */
async function giveWritable(plan: ProcessPlan, lease: UidLease): Promise<void> {
  try {
    for (const file of plan.files) if (file.writable === true) await chown(file.host, lease.uid, lease.uid)
  } catch (error) {
    await lease[Symbol.asyncDispose]()
    throw error
  }
}

/** What a VM holds of the host besides its process, until that is dead. */
interface Holdings {
  readonly lease: UidLease | undefined
  readonly group: VmGroup | undefined
}

async function giveBack({ lease, group }: Holdings): Promise<void> {
  await group?.[Symbol.asyncDispose]()
  await lease?.[Symbol.asyncDispose]()
}

async function makeGroup(plan: ProcessPlan, lease: UidLease | undefined): Promise<VmGroup | undefined> {
  if (plan.groups === undefined) return undefined
  try {
    return await VmGroup.create(plan.groups, groupLimits(plan))
  } catch (error) {
    await lease?.[Symbol.asyncDispose]()
    const message = error instanceof Error ? error.message : String(error)
    throw new BootError(
      `The VM did not start: its control group could not be made: ${message}`,
      { phase: 'qemu', bootLog: '', stderr: '' },
      { cause: error },
    )
  }
}

/** The cause of an end that nobody announced. bubblewrap tells a signal of its child as 128 + its number. */
function causeOf(end: ChildEnd): ExitCause {
  if (end.spawnError !== undefined) return { kind: 'spawn-failed', error: end.spawnError }
  if (end.signal !== undefined) return { kind: 'signal', signal: end.signal }
  const code = end.code ?? 0
  const name = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0]
  return name === undefined ? { kind: 'code', code } : { kind: 'signal', signal: name }
}

function ignore(): void {}
