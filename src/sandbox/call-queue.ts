import { abortedError, CapacityError, throwIfAborted } from '../base/index.ts'

/** Calls waiting on one context; more are a program that does not await. */
const MAX_WAITING = 1_000

interface Waiter {
  readonly admit: () => void
}

/** One call at a time, in the order they came. */
export class CallQueue {
  readonly #waiting: Waiter[] = []
  #busy = false
  #open = false

  /** Calls that wait for their turn. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Waits for the turn; the returned function ends it and must be called once. */
  async enter(signal: AbortSignal | undefined): Promise<() => void> {
    throwIfAborted(signal)
    if (this.#busy && !this.#open) await this.#turn(signal)
    this.#busy = true
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
    if (this.#waiting.length >= MAX_WAITING) {
      throw new CapacityError(
        `Expected at most ${MAX_WAITING} calls waiting on one context; await earlier calls or use another context`,
        { waitedMs: 0 },
      )
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
    if (next === undefined) this.#busy = false
    else next.admit()
  }
}
