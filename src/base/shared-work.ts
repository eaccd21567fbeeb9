import { untilAborted } from './deadline.ts'

/** Work that several callers wait for. It is stopped when the last of them has aborted, not when the first has. */
export class SharedWork<T> {
  readonly #result: Promise<T>
  readonly #ending = new AbortController()
  #waiting = 0
  #settled = false

  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.#result = work(this.#ending.signal)
    const settle = (): void => {
      this.#settled = true
    }
    // Whoever waits sees a failure; when nobody does any more, it is nobody's.
    this.#result.then(settle, settle)
  }

  /** True when all who had joined have left: to join now would be to wait for a stop. */
  get abandoned(): boolean {
    return this.#ending.signal.aborted
  }

  /** Waits for the result. @throws AbortedError when `signal` aborts; what the work throws */
  async join(signal: AbortSignal | undefined): Promise<T> {
    this.#waiting += 1
    try {
      return await untilAborted(this.#result, signal)
    } finally {
      this.#waiting -= 1
      if (this.#waiting === 0 && !this.#settled) this.#ending.abort(new Error('nobody waits for it any more'))
    }
  }
}
