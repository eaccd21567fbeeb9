/**
 * The guest ends a program that ignores SIGINT and SIGTERM 5 s after its time-out (docs/protocol.md); a guest that has
 * not answered so long after that is hung, and its VM is ended.
 */
const LADDER_MS = 5_000
const GRACE_MS = 15_000

/** Knows how long the caller's callbacks have been running: that time is not the guest's. */
export class UserCode {
  #running = 0
  #since = 0
  #spentMs = 0

  /** A callback begins (+1) or ends (−1). */
  change(by: 1 | -1): void {
    if (this.#running === 0) this.#since = performance.now()
    this.#running += by
    if (this.#running === 0) this.#spentMs += performance.now() - this.#since
  }

  get running(): boolean {
    return this.#running > 0
  }

  /** Milliseconds in which at least one was running, up to now. */
  get spentMs(): number {
    return this.#spentMs + (this.running ? performance.now() - this.#since : 0)
  }
}

export interface ResponseLimitOptions {
  readonly watch: UserCode
  readonly onExpired: (reason: string) => void
}

/** The host's own limit on the guest's answer. Time in which the caller's callbacks run does not count. */
export class ResponseLimit {
  readonly #options: ResponseLimitOptions
  #grantedMs = 0
  #timer: NodeJS.Timeout | undefined

  /** @param timeoutMs the program's own limit, from now on; 0 = none */
  constructor(timeoutMs: number, options: ResponseLimitOptions) {
    this.#options = options
    if (timeoutMs > 0) this.#start(timeoutMs + LADDER_MS + GRACE_MS)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #start(ms: number): void {
    this.#timer = setTimeout(() => this.#expire(), ms)
    // Whoever waits for the program keeps the process open.
    this.#timer.unref()
  }

  #expire(): void {
    const { watch, onExpired } = this.#options
    const owedMs = watch.spentMs - this.#grantedMs
    this.#grantedMs += owedMs
    if (watch.running) this.#start(Math.max(owedMs, GRACE_MS))
    else if (owedMs > 0) this.#start(owedMs)
    else onExpired(`it did not answer ${GRACE_MS / 1000} s after the end of a program was due`)
  }
}
