import { throwIfAborted } from '../../base/index.ts'

/**
 * Runs `work` `count` times, at most `width` at once, starting them in order; gives the milliseconds from the beginning of
 * all to the end of each. When one fails no more are started, and the first failure is thrown once all have ended.
 */
export async function crowd(
  count: number,
  width: number,
  signal: AbortSignal,
  work: () => Promise<unknown>,
): Promise<readonly number[]> {
  const startedAt = performance.now()
  const ends: number[] = []
  const failures: unknown[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count && failures.length === 0 && !signal.aborted) {
      next += 1
      try {
        await work()
        ends.push(performance.now() - startedAt)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker))
  throwIfAborted(signal)
  if (failures.length > 0) throw failures[0]
  return ends
}
