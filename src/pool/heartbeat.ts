import type { PoolEntry } from './pool-entry.ts'

/** An idle entry answers in milliseconds. One that has not in this time, on however busy a host, is of no use. */
export const ANSWER_LIMIT_MS = 10_000

export interface HeartbeatOptions<R extends { readonly entry: PoolEntry }> {
  readonly intervalMs: number
  /** Who is to be asked now. */
  readonly idle: () => readonly R[]
  /** Called for each that is still idle when its answer, or the end of its time, has come. */
  readonly onAnswer: (resident: R, alive: boolean) => void
}

/**
 * Asks idle entries, one after the other, whether they answer; then rests. With nobody to ask it is off until it is armed
 * again. Holds no process open: unlike a wait on behalf of a caller, nobody misses the answer.
 */
export class Heartbeat<R extends { readonly entry: PoolEntry }> {
  readonly #options: HeartbeatOptions<R>
  readonly #stopped = new AbortController()
  #state: { readonly kind: 'off' } | { readonly kind: 'resting' } | { readonly kind: 'asking'; resident?: R } = {
    kind: 'off',
  }

  constructor(options: HeartbeatOptions<R>) {
    this.#options = options
  }

  /** Sees to it that there is a next round, if there is anybody to ask. */
  arm(): void {
    if (this.#state.kind !== 'off' || this.#stopped.signal.aborted || this.#options.idle().length === 0) return
    this.#state = { kind: 'resting' }
    const timer = setTimeout(() => {
      this.#stopped.signal.removeEventListener('abort', onStop)
      void this.#round()
    }, this.#options.intervalMs)
    timer.unref()
    const onStop = (): void => clearTimeout(timer)
    this.#stopped.signal.addEventListener('abort', onStop, { once: true })
  }

  /** Whether this one is being asked right now. */
  isAsking(resident: R): boolean {
    return this.#state.kind === 'asking' && this.#state.resident === resident
  }

  /** Ends it for good, a round in progress too. */
  stop(): void {
    this.#stopped.abort()
  }

  async #round(): Promise<void> {
    for (const resident of this.#options.idle()) {
      if (!this.#isIdle(resident)) continue
      this.#state = { kind: 'asking', resident }
      const alive = await answers(resident.entry, this.#stopped.signal)
      // Taken or lost meanwhile: the answer is nobody's any more.
      if (this.#isIdle(resident)) this.#options.onAnswer(resident, alive)
    }
    this.#state = { kind: 'off' }
    this.arm()
  }

  #isIdle(resident: R): boolean {
    return this.#options.idle().includes(resident)
  }
}

/** Whether an entry answers in time. Never rejects; false at once when `signal` aborts. */
async function answers(entry: PoolEntry, signal: AbortSignal): Promise<boolean> {
  return await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => settle(false), ANSWER_LIMIT_MS)
    timer.unref()
    const onAbort = (): void => settle(false)
    signal.addEventListener('abort', onAbort, { once: true })
    const settle = (alive: boolean): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      resolve(alive)
    }
    asked(entry).then(settle, onAbort)
  })
}

// An entry that throws instead of answering is caught like one that rejects.
async function asked(entry: PoolEntry): Promise<boolean> {
  return await entry.isAlive()
}
