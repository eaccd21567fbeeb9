/**
 * The same promise, with its rejection observed: a caller that is busy elsewhere when the channel breaks finds the
 * error when it gets to the promise, and the process is not ended by an unhandled rejection meanwhile.
 */
export function observed<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}
