export interface TokenBucketOptions {
  /** Tokens that a bucket holds at most, and at first. */
  readonly burst: number
  readonly perSecond: number
  /** Milliseconds of a clock that never goes back. @default performance.now */
  readonly nowMs?: () => number
}

/** Lets `burst` uses through at once and `perSecond` for good. */
export class TokenBucket {
  readonly #burst: number
  readonly #perSecond: number
  readonly #nowMs: () => number
  #tokens: number
  #filledAtMs: number

  constructor({ burst, perSecond, nowMs = () => performance.now() }: TokenBucketOptions) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#nowMs = nowMs
    this.#tokens = burst
    this.#filledAtMs = nowMs()
  }

  /** Takes one token; false when there is none. */
  take(): boolean {
    const nowMs = this.#nowMs()
    const earned = (Math.max(0, nowMs - this.#filledAtMs) * this.#perSecond) / 1_000
    this.#tokens = Math.min(this.#burst, this.#tokens + earned)
    this.#filledAtMs = nowMs
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
