import { bookBytes, bookEnd, bookPause, judgePace, type Pace, type PaceLimits, startPace } from './pace.ts'
import { StoreFailure } from './store-failure.ts'

/**
 * The clock of one transfer: aborts its signal, with a StoreFailure as the reason, when the store is too slow, and with
 * the caller's own reason when the caller gives up. The first cause is the one that counts.
 */
export class Transfer implements Disposable {
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #release: () => void
  #pace: Pace = startPace(performance.now())

  /** @param callers those who may give up */
  constructor(limits: PaceLimits, callers: readonly AbortSignal[]) {
    const giveUp = (): void => this.#controller.abort(callers.find((caller) => caller.aborted)?.reason)
    for (const caller of callers) caller.addEventListener('abort', giveUp, { once: true })
    this.#release = (): void => callers.forEach((caller) => caller.removeEventListener('abort', giveUp))
    if (callers.some((caller) => caller.aborted)) giveUp()
    const tickMs = Math.min(1_000, limits.silenceMs / 4, limits.windowMs / 4, limits.overallMs / 4)
    this.#timer = setInterval(() => {
      const { pace, tooSlow } = judgePace(this.#pace, limits, performance.now())
      this.#pace = pace
      if (tooSlow !== undefined) this.#controller.abort(new StoreFailure('slow', tooSlow))
    }, tickMs)
  }

  /** What requests and streams of the transfer listen to. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Bytes have been moved. */
  moved(bytes: number): void {
    this.#pace = bookBytes(this.#pace, bytes, performance.now())
  }

  /** All bytes have been moved, or the next request begins: the store has time to think. */
  waiting(): void {
    this.#pace = bookEnd(this.#pace, performance.now())
  }

  /** Work that is not the store's: its silence is not measured meanwhile. */
  async pausedWhile<T>(work: Promise<T>): Promise<T> {
    this.#pace = bookPause(this.#pace)
    try {
      return await work
    } finally {
      this.waiting()
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#release()
  }
}
