import { CapacityError, SandboxClosedError, throwIfAborted, untilAborted, VmLostError } from '../base/index.ts'
import { Heartbeat } from './heartbeat.ts'
import { pause } from './pause.ts'
import type { PoolEntry } from './pool-entry.ts'
import type { PoolStats } from './pool-stats.ts'
import { Readiness } from './readiness.ts'
import { fillsToStart, refillDelayMs } from './refill.ts'
import type { WarmPoolOptions } from './warm-pool-options.ts'

/** How often idle entries are asked whether they answer. What kills an entry is an event; this finds one that hangs. */
const HEARTBEAT_MS = 30_000

/**
 * How long after a check-out its refill begins: so long the entry's first use has the processors to itself. To start a
 * VM at once made a short program half as slow again, and what it delays takes ten times as long
 * (docs/decisions/0011-pools.md).
 */
const REFILL_PAUSE_MS = 25

/** An entry that the pool owns. */
interface Resident<T> {
  readonly entry: T
  ended: boolean
  /** It has answered a heartbeat. One that ends before that may be of a kind that always does. */
  proven: boolean
}

/**
 * Keeps entries ready, each for one use.
 *
 * ```text
 *   filling ──▶ idle ── take() ──▶ the caller's: the pool never touches it again
 *      │          │
 *      │          └─ ended · no answer · close() ─▶ retiring ── dead ──▶ gone, its place is filled again
 *      └─ failed ─▶ a delay that grows with setbacks in a row
 * ```
 *
 * Refilling starts with the check-out. What the pool knows about an entry comes by event (`ended`) and, for what hangs, by
 * a slow heartbeat, one entry after the other. Its timers hold no process open.
 */
export class WarmPool<T extends PoolEntry> implements AsyncDisposable {
  readonly #options: WarmPoolOptions<T>
  // In the order they came. The oldest is taken first: so none grows old while younger ones serve.
  readonly #idle = new Set<Resident<T>>()
  readonly #fills = new Map<AbortController, Promise<void>>()
  readonly #retiring = new Set<Promise<void>>()
  readonly #readiness = new Readiness()
  readonly #heartbeat: Heartbeat<Resident<T>>
  #phase: 'new' | 'open' | 'closing' = 'new'
  #closed: Promise<void> | undefined
  #setbacks = 0
  #delay: NodeJS.Timeout | undefined
  #hits = 0
  #misses = 0
  #died = 0
  #fillFailures = 0
  #lastFillMs: number | undefined

  constructor(options: WarmPoolOptions<T>) {
    this.#options = options
    this.#heartbeat = new Heartbeat({
      intervalMs: options.heartbeatMs ?? HEARTBEAT_MS,
      idle: () => [...this.#idle],
      onAnswer: (resident, alive) => this.#onAnswer(resident, alive),
    })
  }

  /** Begins to fill. Never throws; any number of times. */
  start(): void {
    if (this.#phase !== 'new') return
    this.#phase = 'open'
    this.#refill()
  }

  /**
   * Waits until the pool is full, starting it if need be. A delay after a setback is cut short: whoever asks may have
   * mended the cause.
   * @throws the first cause when filling keeps failing · SandboxClosedError · AbortedError
   */
  async ready(signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    if (this.#phase === 'closing') throw this.#closedError()
    this.start()
    this.#dropEnded()
    if (this.#isFull()) return
    this.#endDelay()
    // Waiting here does hold the process open, although the pool's own timers do not.
    const hold = setInterval(() => undefined, 2 ** 31 - 1)
    try {
      await untilAborted(this.#readiness.wait(), signal)
    } finally {
      clearInterval(hold)
    }
  }

  /**
   * An entry that nobody has used and that is alive as far as can be known without asking it, or undefined if there is
   * none. It is the caller's from now on. One that ends in this very moment looks like any other: the caller needs
   * another way when its first use fails.
   */
  take(): T | undefined {
    if (this.#phase === 'closing') return undefined
    this.#dropEnded()
    const resident = this.#next()
    if (resident === undefined) {
      this.#misses += 1
      return undefined
    }
    this.#idle.delete(resident)
    this.#hits += 1
    this.#setbacks = 0
    this.#refill(REFILL_PAUSE_MS)
    return resident.entry
  }

  stats(): PoolStats {
    const takes = this.#hits + this.#misses
    return {
      size: this.#options.size,
      idle: this.#idle.size,
      filling: this.#fills.size,
      hits: this.#hits,
      misses: this.#misses,
      hitRate: takes === 0 ? undefined : this.#hits / takes,
      died: this.#died,
      fillFailures: this.#fillFailures,
      lastFillMs: this.#lastFillMs,
    }
  }

  /** Aborts fills, closes idle entries and waits until all are dead. Joins a close in progress; never rejects. */
  async close(): Promise<void> {
    this.#closed ??= this.#shutDown()
    await this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #shutDown(): Promise<void> {
    this.#phase = 'closing'
    clearTimeout(this.#delay)
    this.#heartbeat.stop()
    const error = this.#closedError()
    this.#readiness.end(error)
    for (const ending of this.#fills.keys()) ending.abort(error)
    for (const resident of this.#idle) this.#retire(resident)
    // A fill that could not be stopped any more leaves an entry to close.
    while (this.#fills.size + this.#retiring.size > 0) {
      await Promise.allSettled([...this.#fills.values(), ...this.#retiring])
    }
  }

  #refill(pauseMs = 0): void {
    const level = {
      size: this.#options.size,
      idle: this.#idle.size,
      filling: this.#fills.size,
      retiring: this.#retiring.size,
      delayed: this.#delay !== undefined,
      open: this.#phase === 'open',
    }
    for (let count = fillsToStart(level); count > 0; count -= 1) {
      const ending = new AbortController()
      this.#fills.set(ending, this.#fill(ending, pauseMs))
    }
  }

  async #fill(ending: AbortController, pauseMs: number): Promise<void> {
    await pause(pauseMs, ending.signal)
    const startedAt = performance.now()
    try {
      throwIfAborted(ending.signal)
      const resident = await this.#watched(await this.#options.fill(ending.signal))
      this.#fills.delete(ending)
      this.#adopt(resident, performance.now() - startedAt)
    } catch (error) {
      this.#fills.delete(ending)
      if (this.#phase === 'closing') return
      if (!(error instanceof CapacityError)) this.#fillFailures += 1
      this.#setback('a fill failed', error)
    }
    this.#refill()
  }

  async #watched(entry: T): Promise<Resident<T>> {
    const resident = { entry, ended: false, proven: false }
    const onEnd = (): void => {
      resident.ended = true
      if (this.#idle.has(resident)) this.#lose(resident, 'it ended')
    }
    entry.ended.then(onEnd, onEnd)
    // An end that came before the entry did is told in this pause.
    await Promise.resolve()
    return resident
  }

  #adopt(resident: Resident<T>, fillMs: number): void {
    if (this.#phase === 'closing') return this.#retire(resident)
    this.#idle.add(resident)
    if (hasEnded(resident)) return this.#lose(resident, 'it ended as it was filled')
    this.#lastFillMs = fillMs
    this.#options.logger.debug('pool filled', {
      pool: this.#options.name,
      idle: this.#idle.size,
      ms: Math.round(fillMs),
    })
    if (this.#isFull()) this.#readiness.reached()
    this.#heartbeat.arm()
  }

  #onAnswer(resident: Resident<T>, alive: boolean): void {
    if (!alive) return this.#lose(resident, 'it did not answer')
    resident.proven = true
    this.#setbacks = 0
  }

  /** An idle entry is dead or as good as dead: it is replaced, after a delay if it never did any good. */
  #lose(resident: Resident<T>, why: string): void {
    this.#died += 1
    this.#retire(resident)
    const lost = new VmLostError(`A pool entry was lost while idle: ${why}`, { dispatched: false })
    if (resident.proven) this.#options.logger.info('pool entry lost', { pool: this.#options.name, why })
    else this.#setback('an entry was lost', lost)
  }

  #retire(resident: Resident<T>): void {
    this.#idle.delete(resident)
    const retirement = this.#closeEntry(resident.entry).then(() => {
      this.#retiring.delete(retirement)
      this.#refill()
    })
    this.#retiring.add(retirement)
  }

  async #closeEntry(entry: T): Promise<void> {
    try {
      await entry.close()
    } catch (error) {
      this.#options.logger.error('pool entry did not close', { pool: this.#options.name, cause: String(error) })
    }
  }

  // What goes wrong while a delay runs has most often the same cause, and does not make the next delay longer.
  #setback(what: string, cause: unknown): void {
    if (this.#delay !== undefined) return
    this.#setbacks += 1
    const kind = cause instanceof CapacityError ? 'capacity' : 'failure'
    const delayMs = refillDelayMs(this.#setbacks, kind, Math.random())
    // The first of a row is news; the others would fill the log of a host that stays broken.
    const level = this.#setbacks === 1 ? 'warn' : 'debug'
    const { name, logger } = this.#options
    logger[level](`pool: ${what}`, { pool: name, setbacks: this.#setbacks, delayMs, cause: String(cause) })
    this.#delay = setTimeout(() => this.#endDelay(), delayMs)
    this.#delay.unref()
    this.#readiness.setback(cause)
  }

  #endDelay(): void {
    clearTimeout(this.#delay)
    this.#delay = undefined
    this.#refill()
  }

  /** The oldest entry; one that is just being asked whether it lives only if there is no other. */
  #next(): Resident<T> | undefined {
    const idle = [...this.#idle]
    return idle.find((resident) => !this.#heartbeat.isAsking(resident)) ?? idle[0]
  }

  /** Drops what is known to be of no use before the event that tells so has had its turn. */
  #dropEnded(): void {
    for (const resident of this.#idle) if (hasEnded(resident)) this.#lose(resident, 'it ended')
  }

  #isFull(): boolean {
    return this.#idle.size >= this.#options.size
  }

  #closedError(): SandboxClosedError {
    return new SandboxClosedError(`The pool "${this.#options.name}" has been closed.`, { reason: 'closed' })
  }
}

function hasEnded(resident: Resident<PoolEntry>): boolean {
  return resident.ended || resident.entry.hasEnded === true
}
