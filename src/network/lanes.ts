import { abortedError, throwIfAborted } from '../base/index.ts'

export interface LanesOptions {
  /** Jobs that run at once in all. */
  readonly slots: number
  /** Jobs of one lane that run at once. */
  readonly slotsPerLane: number
  /** Jobs of one lane that wait at most. */
  readonly maxWaitingPerLane: number
}

/** A lane's line is full. */
export class LaneFullError extends Error {
  override readonly name = 'LaneFullError'
}

interface Lane {
  running: number
  /** When it began its last job, counted in jobs of all lanes; 0 before the first. */
  startedAt: number
  readonly waiting: (() => void)[]
}

/**
 * Slots shared by lanes that take turns: who asks for much waits behind its own jobs, not before those of others. A slot is
 * taken until its job has really ended, whoever may have stopped waiting for it.
 */
export class Lanes {
  readonly #options: LanesOptions
  /** Lanes with jobs, running or waiting. */
  readonly #lanes = new Map<object, Lane>()
  #running = 0
  #started = 0

  constructor(options: LanesOptions) {
    this.#options = options
  }

  /** Jobs that run now, and those that wait. */
  get load(): { readonly running: number; readonly waiting: number } {
    const waiting = [...this.#lanes.values()].reduce((sum, lane) => sum + lane.waiting.length, 0)
    return { running: this.#running, waiting }
  }

  /**
   * Runs `job` when it is its turn.
   * @param key the lane: any object, by its identity
   * @throws LaneFullError, AbortedError while it waits, and what the job throws
   */
  async run<T>(key: object, job: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    throwIfAborted(signal)
    const lane = this.#lanes.get(key) ?? { running: 0, startedAt: 0, waiting: [] }
    this.#lanes.set(key, lane)
    if (this.#mayStart(lane)) this.#start(lane)
    else await this.#turn(key, lane, signal)
    try {
      return await job()
    } finally {
      lane.running -= 1
      this.#running -= 1
      this.#dropIfEmpty(key, lane)
      this.#next()
    }
  }

  #mayStart(lane: Lane): boolean {
    return this.#running < this.#options.slots && lane.running < this.#options.slotsPerLane
  }

  #start(lane: Lane): void {
    this.#started += 1
    lane.startedAt = this.#started
    lane.running += 1
    this.#running += 1
  }

  async #turn(key: object, lane: Lane, signal: AbortSignal | undefined): Promise<void> {
    const { maxWaitingPerLane } = this.#options
    if (lane.waiting.length >= maxWaitingPerLane) {
      throw new LaneFullError(`expected at most ${maxWaitingPerLane} waiting, got one more`)
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        lane.waiting.splice(lane.waiting.indexOf(proceed), 1)
        this.#dropIfEmpty(key, lane)
        reject(abortedError(signal))
      }
      const proceed = (): void => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      lane.waiting.push(proceed)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  #dropIfEmpty(key: object, lane: Lane): void {
    if (lane.running === 0 && lane.waiting.length === 0) this.#lanes.delete(key)
  }

  // The slot is counted here and not where the job goes on: between the two others may ask.
  #next(): void {
    for (;;) {
      const ready = [...this.#lanes.values()].filter((lane) => lane.waiting.length > 0 && this.#mayStart(lane))
      const [lane] = ready.sort((a, b) => a.startedAt - b.startedAt)
      const proceed = lane?.waiting.shift()
      if (lane === undefined || proceed === undefined) return
      this.#start(lane)
      proceed()
    }
  }
}
