import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { tryLock } from 'fs-native-extensions'
import { abortedError, throwIfAborted } from '../base/index.ts'

export interface FileLockOptions {
  /** Milliseconds to wait at most. */
  readonly timeoutMs: number
  /** Makes the error of a wait that ran out of time. */
  readonly onTimeout: () => Error
  readonly signal?: AbortSignal | undefined
}

/** First and longest pause between two tries, in milliseconds: a waiter sees a free lock within a quarter of a second. */
const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 250

/**
 * A lock among processes that the kernel drops when its holder dies, however it dies: an open-file-description
 * lock (fcntl(2), F_OFD_SETLK) on a file that is never deleted.
 */
export class FileLock implements AsyncDisposable {
  readonly path: string
  #file: FileHandle | undefined

  private constructor(path: string, file: FileHandle) {
    this.path = path
    this.#file = file
  }

  /**
   * The lock, or undefined when another holds it.
   * @param byte locks this byte of the file alone, so that one file serves many; it need not be that long
   */
  static async tryAcquire(path: string, byte?: number): Promise<FileLock | undefined> {
    await mkdir(dirname(path), { recursive: true })
    // Not opened for others to write: whoever may lock the file may make us wait.
    const file = await open(path, 'a', 0o600)
    let held = false
    try {
      held = byte === undefined ? tryLock(file.fd) : tryLock(file.fd, byte, 1)
      return held ? new FileLock(path, file) : undefined
    } finally {
      if (!held) await file.close()
    }
  }

  /**
   * Waits for the lock. The wait asks again with growing pauses instead of sleeping in the kernel: a blocking
   * fcntl cannot be cancelled, holds a thread of the pool, and with four of them waiting nothing else moves.
   */
  static async acquire(path: string, options: FileLockOptions): Promise<FileLock> {
    const { signal, timeoutMs, onTimeout } = options
    const deadline = performance.now() + timeoutMs
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      throwIfAborted(signal)
      const lock = await FileLock.tryAcquire(path)
      if (lock !== undefined) return lock
      const left = deadline - performance.now()
      if (left <= 0) throw onTimeout()
      await delay(Math.min(pause, left), undefined, signal === undefined ? {} : { signal }).catch(() => {
        throw abortedError(signal)
      })
    }
  }

  /** Lets go of the lock. Doing it twice is harmless. */
  async release(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }
}
