/** What eviction knows of a template. */
export interface EvictionCandidate {
  readonly key: string
  /** What the file system gave it. */
  readonly bytes: number
  /** Milliseconds since the epoch. */
  readonly lastUsedAt: number
  /** True when it can no longer be opened: damaged, or of another format. */
  readonly useless: boolean
}

export interface EvictionOptions {
  readonly limitBytes: number
  /** A template that stays in any case. */
  readonly keep?: string | undefined
}

/** Keys to remove so that the rest fits the limit: useless ones first, then the least recently used. Pure. */
export function chooseEvictions<T extends EvictionCandidate>(
  candidates: readonly T[],
  options: EvictionOptions,
): readonly T[] {
  let total = candidates.reduce((sum, candidate) => sum + candidate.bytes, 0)
  const chosen: T[] = []
  for (const candidate of inOrderOfEviction(candidates)) {
    if (total <= options.limitBytes) break
    if (candidate.key === options.keep) continue
    chosen.push(candidate)
    total -= candidate.bytes
  }
  return chosen
}

/** The order in which templates go. Pure; equal ones are ordered by key, so that all processes choose alike. */
export function inOrderOfEviction<T extends EvictionCandidate>(candidates: readonly T[]): readonly T[] {
  return candidates.toSorted(
    (left, right) =>
      Number(right.useless) - Number(left.useless) ||
      left.lastUsedAt - right.lastUsedAt ||
      (left.key < right.key ? -1 : 1),
  )
}

/** Bytes that the host's part of a guest takes before any of its own work: kernel, agent, interpreter and page cache. */
const GUEST_BASE_BYTES = 192 * 2 ** 20

/** The guest's kernel keeps 64 bytes for each page of 4 KiB; as much again for what else grows with memory. */
const GUEST_SHARE = 1 / 32

/**
 * Bytes to expect of a template before it is made. A saved guest has touched a fraction of its memory: measured, 44 MiB
 * (bash) to 112 MiB (JavaScript) of 256. This is an upper bound of what is likely, not of what is possible.
 */
export function expectedBytes(memoryMb: number): number {
  const memory = memoryMb * 2 ** 20
  return Math.min(memory, GUEST_BASE_BYTES + memory * GUEST_SHARE)
}
