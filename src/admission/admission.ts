import { abortedError, type Logger, SandboxClosedError, throwIfAborted } from '../base/index.ts'
import { findResources, memoryPressure } from '../host/index.ts'
import {
  abandon,
  type AdmissionState,
  enqueue,
  holdAhead,
  isBehind,
  measured,
  NOTHING_HELD,
  release,
  rest,
  serve,
  settle,
  usageOf,
  type Waiting,
} from './admission-queue.ts'
import { type Budget, type BudgetRules, type Capacity, capacityOf, needOf, type VmCost } from './budget.ts'
import { neverFits, notInTime, queueFull } from './refusal.ts'

export interface AdmissionOptions extends BudgetRules {
  readonly logger: Logger
}

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined
  /** Milliseconds until the wait gives up with CapacityError. */
  readonly timeoutMs: number
}

/** A VM's share of the host. Its owner is the VM's owner; whoever kills the VM gives it back. */
export interface Reservation extends Disposable {
  /** The VM is idle from now on: its memory stays reserved, its processors are free for others. */
  idle(): void
  /** It serves somebody, whether it works or not: it does not count as made ahead of demand any more. */
  serve(): void
  /**
   * It serves somebody: waits for its turn in the line for processors. At once when it works already. One wait at a time.
   * @throws CapacityError after `timeoutMs`; AbortedError; SandboxClosedError once released or after close()
   */
  work(options: WaitOptions): Promise<void>
  /** Everything back; any number of times. Called when the VM's process is known to be dead. */
  release(): void
}

export interface AdmissionStats {
  /** What may be given out in all. */
  readonly budget: Budget
  /** What is given out now, and to how many VMs; `working` of them hold processors. */
  readonly inUse: Budget & { readonly vms: number; readonly working: number }
  /** The host when it was last measured. `pressurePercent`: undefined where the kernel does not tell. */
  readonly host: { readonly availableMb: number; readonly pressurePercent: number | undefined }
  readonly waiting: number
  /** VMs admitted since the start, those of `tryAdmit` included. */
  readonly admitted: number
  /** Calls that ended with CapacityError. `tryAdmit` is not counted: it only asks. */
  readonly refused: number
  /** Milliseconds that calls waited until they were granted; `count` includes those that did not have to. */
  readonly waits: { readonly count: number; readonly sumMs: number; readonly maxMs: number }
}

/** What is measured of the host. */
export interface HostMeasurement {
  readonly memoryBytes: number
  readonly memoryAvailableBytes: number
  readonly cpus: number
  readonly pressurePercent: number | undefined
}

/**
 * Milliseconds for which a measurement of the host decides. It takes 0.2 ms, so this bounds it to a few thousandths of a
 * processor. What VMs do meanwhile is known without it; what other processes do changes more slowly than a VM starts.
 */
const MEASUREMENT_MAX_AGE_MS = 100

/**
 * Milliseconds between two looks at the host while somebody waits. Everything that this process does is an event; the
 * timer is for memory that others free, and for pressure, which the kernel averages every 2 seconds.
 */
const LOOK_AGAIN_MS = 500

/**
 * Calls that may wait at the same time. The lines are copied at every change, so their cost grows with the square: when
 * all of these give up in the same moment, the process is held for a few tenths of a second, and a host that has served
 * none of them in two minutes would not serve more.
 */
const MAX_WAITING = 4_000

/** The longest timer of Node; a longer one would end at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

interface Caller {
  readonly waiting: Waiting
  readonly grant: () => void
  readonly fail: (error: Error) => void
  readonly since: number
}

/** Decides whether this host can take one more VM, and who is next. One per scheduler. */
export class Admission {
  readonly #options: AdmissionOptions
  readonly #measureHost: () => HostMeasurement
  readonly #callers = new Map<number, Caller>()
  #state: AdmissionState = NOTHING_HELD
  #capacity: { readonly value: Capacity; readonly at: number } | undefined
  #lookAgain: NodeJS.Timeout | undefined
  /** The last measurement failed. */
  #blind = false
  #closed = false
  #lastId = 0
  #admitted = 0
  #refused = 0
  #waits = { count: 0, sumMs: 0, maxMs: 0 }

  /** Nothing is measured before the first call. */
  constructor(options: AdmissionOptions, measureHost: () => HostMeasurement = measureThisHost) {
    this.#options = options
    this.#measureHost = measureHost
  }

  /**
   * Waits until there is room for the VM and nobody who came earlier lacks any. The reservation starts working.
   * @throws CapacityError after `timeoutMs`, or at once (not retryable) for more memory than there is in all;
   * AbortedError; SandboxClosedError after close()
   */
  async admit(cost: VmCost, options: WaitOptions): Promise<Reservation> {
    throwIfAborted(options.signal)
    this.#throwIfClosed()
    const { budget } = this.#known()
    const need = needOf(cost, this.#options)
    if (need.memoryMb > budget.memoryMb) throw this.#refuse(neverFits(cost, budget, 0))
    const id = this.#nextId()
    await this.#wait({ kind: 'admit', id, need }, options)
    const reservation = this.#reservation(id)
    // The signal may have been aborted between the grant and this line: nobody would give the reservation back.
    if (!options.signal?.aborted) return reservation
    reservation.release()
    throw abortedError(options.signal)
  }

  /**
   * A reservation for a VM made ahead of demand, or undefined: it never waits and never overtakes those who do. Such VMs
   * hold at most half of the memory budget until they serve somebody (`work`). The reservation starts working.
   */
  tryAdmit(cost: VmCost): Reservation | undefined {
    if (this.#closed) return undefined
    const ahead = { id: this.#nextId(), need: needOf(cost, this.#options) }
    const found = this.#decide((capacity) => holdAhead(this.#state, ahead, capacity))
    if (found.state === undefined) return undefined
    this.#state = found.state
    this.#admitted += 1
    return this.#reservation(ahead.id)
  }

  stats(): AdmissionStats {
    const { budget, availableMb, pressurePercent } = this.#known()
    const { memoryMb, cpus, working } = usageOf(this.#state)
    return {
      budget,
      inUse: { memoryMb, cpus, vms: this.#state.held.size, working },
      host: { availableMb, pressurePercent },
      waiting: this.#state.waiting.length,
      admitted: this.#admitted,
      refused: this.#refused,
      waits: { ...this.#waits },
    }
  }

  /** Those who wait are rejected with SandboxClosedError, and so is whoever comes. Reservations stay until released. */
  close(): void {
    this.#closed = true
    const waiting = this.#state.waiting
    this.#state = { ...this.#state, waiting: [] }
    for (const { id } of waiting) this.#callers.get(id)?.fail(closedError())
    this.#watch()
  }

  #reservation(id: number): Reservation {
    const giveBack = (): void => {
      const worker = this.#state.waiting.find((waiting) => waiting.kind === 'work' && waiting.holding === id)
      this.#update(release(this.#state, id))
      if (worker !== undefined) this.#callers.get(worker.id)?.fail(releasedError())
    }
    return {
      idle: () => this.#update(rest(this.#state, id)),
      serve: () => this.#update(serve(this.#state, id)),
      work: async (options) => await this.#work(id, options),
      release: giveBack,
      [Symbol.dispose]: giveBack,
    }
  }

  async #work(holding: number, options: WaitOptions): Promise<void> {
    throwIfAborted(options.signal)
    this.#throwIfClosed()
    const phase = this.#state.held.get(holding)?.phase
    if (phase === undefined) throw releasedError()
    if (phase === 'working') {
      this.#update(serve(this.#state, holding))
      return
    }
    if (this.#state.waiting.some((other) => other.kind === 'work' && other.holding === holding)) {
      throw new Error('This reservation already waits for processors: expected one work() at a time, await the first')
    }
    await this.#wait({ kind: 'work', id: this.#nextId(), holding }, options)
    if (!this.#state.held.has(holding)) throw releasedError()
    if (!options.signal?.aborted) return
    this.#update(rest(this.#state, holding))
    throw abortedError(options.signal)
  }

  async #wait(waiting: Waiting, { signal, timeoutMs }: WaitOptions): Promise<void> {
    if (this.#state.waiting.length >= MAX_WAITING) throw this.#refuse(queueFull(MAX_WAITING))
    await new Promise<void>((resolve, reject) => {
      const since = performance.now()
      const settled = (finish: () => void): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        this.#callers.delete(waiting.id)
        finish()
      }
      const fail = (error: Error): void => settled(() => reject(error))
      const leave = (error: Error): void => {
        fail(error)
        this.#change(abandon(this.#state, waiting.id), isBehind(this.#state, waiting))
      }
      const onAbort = (): void => leave(abortedError(signal))
      const onTimeout = (): void => {
        // A last look: what others freed since the last one may be enough.
        if (!isBehind(this.#state, waiting)) this.#update(this.#state)
        if (this.#callers.has(waiting.id)) leave(this.#tooLate(waiting, performance.now() - since))
      }
      const timer = setTimeout(onTimeout, Math.min(timeoutMs, MAX_TIMER_MS))
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#callers.set(waiting.id, { waiting, grant: () => settled(resolve), fail, since })
      this.#join(waiting)
    })
  }

  #join(waiting: Waiting): void {
    this.#change(enqueue(this.#state, waiting), isBehind(this.#state, waiting))
    if (!this.#callers.has(waiting.id)) return
    this.#options.logger.debug('a call waits for capacity', { waiting: this.#state.waiting.length })
  }

  /** A change that decides nothing for others is not judged: the lines may be long and burst at once. */
  #change(state: AdmissionState, decidesNothing: boolean): void {
    if (decidesNothing) this.#state = state
    else this.#update(state)
  }

  /** Every change that may decide something: what became free is given to those who wait. */
  #update(state: AdmissionState): void {
    this.#state = state
    if (state.waiting.length > 0) this.#settle()
    this.#watch()
  }

  #settle(): void {
    const outcome = this.#decide((capacity) => settle(this.#state, capacity))
    this.#state = outcome.state
    for (const waiting of outcome.granted) this.#granted(waiting)
    for (const waiting of outcome.refused) this.#callers.get(waiting.id)?.fail(this.#refusal(waiting))
  }

  #granted(waiting: Waiting): void {
    const caller = this.#callers.get(waiting.id)
    const waitedMs = caller === undefined ? 0 : performance.now() - caller.since
    if (waiting.kind === 'admit') this.#admitted += 1
    const { count, sumMs, maxMs } = this.#waits
    this.#waits = { count: count + 1, sumMs: sumMs + waitedMs, maxMs: Math.max(maxMs, waitedMs) }
    caller?.grant()
  }

  #refusal(waiting: Waiting): Error {
    if (waiting.kind === 'work') return releasedError()
    // The host has shrunk while it waited.
    const { budget } = this.#known()
    const memoryMb = waiting.need.memoryMb
    const since = this.#callers.get(waiting.id)?.since ?? performance.now()
    return this.#refuse(neverFits({ memoryMb, cpus: waiting.need.cpus }, budget, performance.now() - since))
  }

  #tooLate(waiting: Waiting, waitedMs: number): Error {
    return this.#refuse(notInTime(waiting, this.#state, { capacity: this.#known(), waitedMs }))
  }

  #refuse(error: Error): Error {
    this.#refused += 1
    return error
  }

  /** Looks at the host now and then exactly while somebody waits. The timer of the waiting call keeps the process. */
  #watch(): void {
    if (this.#state.waiting.length === 0) {
      clearInterval(this.#lookAgain)
      this.#lookAgain = undefined
    } else {
      this.#lookAgain ??= setInterval(() => this.#update(this.#state), LOOK_AGAIN_MS).unref()
    }
  }

  #known(): Capacity {
    if (this.#capacity === undefined || performance.now() - this.#capacity.at > MEASUREMENT_MAX_AGE_MS) {
      return this.#measure()
    }
    return this.#capacity.value
  }

  /** Decides by what is known, and again by a new measurement before anybody is kept waiting by an old one. */
  #decide<T extends { readonly gated: boolean }>(decision: (capacity: Capacity) => T): T {
    const before = this.#capacity
    const capacity = this.#known()
    const decided = decision(capacity)
    return decided.gated && this.#capacity === before ? decision(this.#measure()) : decided
  }

  #measure(): Capacity {
    try {
      const host = this.#measureHost()
      this.#capacity = { value: capacityOf(host, host.pressurePercent, this.#options), at: performance.now() }
      this.#state = measured(this.#state)
      this.#blind = false
    } catch (error) {
      if (this.#capacity === undefined) throw error
      // Called where VMs are given back, which must not fail: what was measured last decides.
      if (!this.#blind) this.#options.logger.warn('this host could not be measured', { cause: String(error) })
      this.#blind = true
    }
    return this.#capacity.value
  }

  #nextId(): number {
    this.#lastId += 1
    return this.#lastId
  }

  #throwIfClosed(): void {
    if (this.#closed) throw closedError()
  }
}

function closedError(): SandboxClosedError {
  return new SandboxClosedError('The scheduler was closed: it admits no VM any more. Create a new one.', {
    reason: 'closed',
  })
}

function releasedError(): SandboxClosedError {
  return new SandboxClosedError('The VM has ended and its reservation was given back. Use a new one.', {
    reason: 'released',
  })
}

function measureThisHost(): HostMeasurement {
  return { ...findResources(), pressurePercent: memoryPressure() }
}
