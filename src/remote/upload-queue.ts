import { withDeadline } from '../base/index.ts'

export interface UploadQueueOptions {
  /** Uploads at once. */
  readonly concurrency: number
  /** Uploads that may wait; more are refused. */
  readonly capacity: number
}

type Work = (signal: AbortSignal) => Promise<void>

/** Work in the background: so much of it at once, so much waiting, each key once. */
export class UploadQueue {
  readonly #options: UploadQueueOptions
  readonly #waiting: { readonly key: string; readonly work: Work }[] = []
  readonly #running = new Map<string, Promise<void>>()
  readonly #ending = new AbortController()
  #closed = false

  constructor(options: UploadQueueOptions) {
    this.#options = options
  }

  /**
   * @param work never rejects; stops when its signal aborts
   * @returns whether it will be done: `duplicate` when the key is already being worked on
   */
  add(key: string, work: Work): 'added' | 'duplicate' | 'full' | 'closed' {
    if (this.#closed) return 'closed'
    if (this.#running.has(key) || this.#waiting.some((waiting) => waiting.key === key)) return 'duplicate'
    if (this.#running.size < this.#options.concurrency) this.#start(key, work)
    else if (this.#waiting.length < this.#options.capacity) this.#waiting.push({ key, work })
    else return 'full'
    return 'added'
  }

  /**
   * Takes no more, waits at most so many milliseconds, and until the signal, for what was added, then stops the rest. Resolves
   * when all has ended.
   */
  async close(options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined }): Promise<void> {
    this.#closed = true
    await withDeadline(this.#idle(), {
      timeoutMs: options.timeoutMs,
      signal: options.signal,
      onTimeout: () => new Error('uploads take too long'),
    }).catch(() => undefined)
    this.#waiting.length = 0
    this.#ending.abort(new Error('the remote cache is closed'))
    await this.#idle()
  }

  #start(key: string, work: Work): void {
    const done = work(this.#ending.signal).finally(() => {
      this.#running.delete(key)
      const next = this.#waiting.shift()
      if (next !== undefined) this.#start(next.key, next.work)
    })
    this.#running.set(key, done)
  }

  async #idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.race(this.#running.values())
  }
}
