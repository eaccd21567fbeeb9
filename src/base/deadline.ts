import { AbortedError } from './errors.ts'

export interface DeadlineOptions {
  /** Milliseconds until the wait gives up. */
  readonly timeoutMs: number
  /** Makes the error of a wait that ran out of time. */
  readonly onTimeout: () => Error
  readonly signal?: AbortSignal | undefined
}

/**
 * Waits for `promise`, at most `timeoutMs`, ending early with `AbortedError` when `signal` aborts.
 * The work behind the promise is not stopped: who started it owns its end. A rejection that arrives
 * after the wait has ended is observed, never unhandled.
 */
export async function withDeadline<T>(promise: Promise<T>, options: DeadlineOptions): Promise<T> {
  const { timeoutMs, onTimeout, signal } = options
  return await new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => settle(() => reject(onTimeout())), timeoutMs)
    const onAbort = (): void => settle(() => reject(abortedError(signal)))
    const settle = (finish: () => void): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      finish()
    }
    // The promise is observed first: whatever becomes of it after this wait has ended is nobody's unhandled rejection.
    promise.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    )
    if (signal?.aborted) onAbort()
    else signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** Throws `AbortedError` if the signal has been aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal)
}

/** The error of a call that the caller's signal ended. */
export function abortedError(signal: AbortSignal | undefined): AbortedError {
  return new AbortedError('The call was aborted by its signal', signal?.reason)
}

/**
 * Waits for `work` unless `signal` aborts first; then rejects with AbortedError at once. The work itself goes on: its
 * owner ends it, for which `onAbort` is the place.
 */
export async function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  onAbort: (error: AbortedError) => void = () => undefined,
): Promise<T> {
  if (signal === undefined) return await work
  return await new Promise<T>((resolve, reject) => {
    const abort = (): void => {
      const error = abortedError(signal)
      onAbort(error)
      reject(error)
    }
    const settle = (finish: () => void): void => {
      signal.removeEventListener('abort', abort)
      finish()
    }
    work.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    )
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}
