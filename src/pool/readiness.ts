import { CapacityError, SandboxError } from '../base/index.ts'

/** Setbacks in a row after which those who wait are told. Each fill has retried what can pass on its own before. */
const SETBACKS_TOLD = 3

/** Milliseconds for which a full host is no news: other pools are filling, or runs are under way that end. */
const FULL_HOST_PATIENCE_MS = 30_000

/** One wait for a full pool, shared by all who wait. */
interface Round {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  readonly since: number
  readonly causes: unknown[]
}

/** Tells those who wait for a full pool when it is, or why it does not get there. */
export class Readiness {
  #round: Round | undefined

  /** Settles with the next `reached` or `end`, or rejects with the first cause when setbacks go on. */
  async wait(): Promise<void> {
    this.#round ??= newRound(performance.now())
    await this.#round.promise
  }

  reached(): void {
    this.#round?.resolve()
    this.#round = undefined
  }

  end(error: unknown): void {
    this.#round?.reject(error)
    this.#round = undefined
  }

  /**
   * A cause that cannot pass ends the wait at once, another when it was not the only one; that the host is full, when it
   * has been for long.
   */
  setback(cause: unknown, now = performance.now()): void {
    if (this.#round === undefined) return
    const { causes, since } = this.#round
    causes.push(cause)
    const canPass = !(cause instanceof SandboxError) || cause.retryable
    const isEarly = cause instanceof CapacityError && now - since < FULL_HOST_PATIENCE_MS
    if (!canPass || (causes.length >= SETBACKS_TOLD && !isEarly)) this.end(causes[0])
  }
}

function newRound(since: number): Round {
  let resolve: () => void = () => undefined
  let reject: (error: unknown) => void = () => undefined
  const promise = new Promise<void>((onFull, onEnd) => {
    resolve = onFull
    reject = onEnd
  })
  return { promise, resolve, reject, since, causes: [] }
}
