/**
 * Fills in progress at once, in one pool; whether the host bears them is for admission to say. Half of a fill is waiting
 * for QEMU to start, so two overlap well; with more, those who miss wait longer for their own VM than they gain
 * (docs/decisions/0011-pools.md).
 */
export const FILLS_AT_ONCE = 2

/** Delay after the first setback; each further one in a row doubles it. About the time that one fill takes. */
const BASE_DELAY_MS = 250

/** The longest delay: a fill that costs 300 ms of a core and fails each time stays at one hundredth of a core. */
const LONGEST_DELAY_MS = 30_000

/** The longest delay when the host was full: asking again costs nothing, and a pool is wanted soon after a burst. */
const LONGEST_CAPACITY_DELAY_MS = 2_000

/** What a pool holds, as far as it matters for refilling it. */
export interface PoolLevel {
  /** Entries the pool is to keep ready. */
  readonly size: number
  /** Entries that are ready. */
  readonly idle: number
  /** Fills in progress. */
  readonly filling: number
  /** Entries that are being closed. Each keeps its place until it is dead: the host never carries more than `size`. */
  readonly retiring: number
  /** A setback is waited out. */
  readonly delayed: boolean
  /** The pool is being filled at all: it was started, and is not being closed. */
  readonly open: boolean
}

/** How many fills to start now. Pure. */
export function fillsToStart(level: PoolLevel): number {
  if (!level.open || level.delayed) return 0
  const missing = level.size - level.idle - level.filling - level.retiring
  return Math.max(0, Math.min(missing, FILLS_AT_ONCE - level.filling))
}

/**
 * How long to wait after a setback before the next fill. Pure.
 * @param setbacks setbacks in a row, from 1
 * @param cause `capacity` when the host had no room, which costs nothing to ask again
 * @param random from 0 to 1: the jitter, so that pools that failed together do not fill together
 */
export function refillDelayMs(setbacks: number, cause: 'capacity' | 'failure', random: number): number {
  const longest = cause === 'capacity' ? LONGEST_CAPACITY_DELAY_MS : LONGEST_DELAY_MS
  const ceiling = Math.min(longest, BASE_DELAY_MS * 2 ** (setbacks - 1))
  return Math.round(ceiling / 2 + (ceiling / 2) * random)
}
