import { abortedError, CapacityError, throwIfAborted } from '../base/index.ts'

/** Calls waiting on one context; more are a program that does not await. */
const MAX_WAITING = 1_000

interface Waiter {
  readonly admit: () => void
}

export interface CallQueueOptions {
  /** Calls at a time. */
  readonly width: number
  readonly maxWaiting: number
  /** Completes "expected at most … waiting". */
  readonly what: string
}

const ONE_BY_ONE: CallQueueOptions = { width: 1, maxWaiting: MAX_WAITING, what: 'calls on one context' }

/** So many calls at a time, in the order they came. */
export class CallQueue {
  readonly #options: CallQueueOptions
  readonly #waiting: Waiter[] = []
  #running = 0
  #open = false

  /** @param options @default one call at a time, 1 000 waiting */
  constructor(options: CallQueueOptions = ONE_BY_ONE) {
    this.#options = options
  }

  /** Calls that wait for their turn. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Waits for the turn; the returned function ends it and must be called once. */
  async enter(signal: AbortSignal | undefined): Promise<() => void> {
    throwIfAborted(signal)
    // A turn that is handed over stays counted.
    if (this.#running >= this.#options.width && !this.#open) await this.#turn(signal)
    else this.#running += 1
    let left = false
    return () => {
      if (left) return
      left = true
      this.#leave()
    }
  }

  /** There is nothing left to take turns on: all who wait are let in, and so is whoever comes. */
  open(): void {
    this.#open = true
    for (const { admit } of this.#waiting.splice(0)) admit()
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    const { maxWaiting, what } = this.#options
    if (this.#waiting.length >= maxWaiting) {
      const message = `Expected at most ${maxWaiting} ${what} waiting; await earlier ones`
      throw new CapacityError(message, { waitedMs: 0 })
    }
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        admit: () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
        reject(abortedError(signal))
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(waiter)
    })
  }

  // The turn is handed over without a gap: a call that comes in between cannot overtake the one admitted.
  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#running -= 1
    else next.admit()
  }
}
