/** One boot may take this long before it is given up (requirement G05). */
export const BOOT_LIMIT_MS = 45_000

/** Boots tried for one VM, the first included (requirement G05). */
export const BOOT_TRIES = 4

/** Delay before the second try; each further one doubles it. */
const BASE_DELAY_MS = 200

/**
 * What to do after a boot failed: how long to wait before the next try, or undefined to give up. Pure.
 * @param attempt number of tries that have failed, from 1
 * @param retryable whether the cause can pass; a cause that cannot is never tried again
 * @param random from 0 to 1: the jitter, so that VMs that failed together do not boot together
 */
export function nextBootDelayMs(attempt: number, retryable: boolean, random: number): number | undefined {
  if (!retryable || attempt >= BOOT_TRIES) return undefined
  const ceiling = BASE_DELAY_MS * 2 ** (attempt - 1)
  return Math.round(ceiling / 2 + (ceiling / 2) * random)
}
