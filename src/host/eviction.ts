/** What eviction knows of an entry of the cache. */
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
  /** An entry that stays in any case. */
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

/** The order in which entries go. Pure; equal ones are ordered by key, so that all processes choose alike. */
export function inOrderOfEviction<T extends EvictionCandidate>(candidates: readonly T[]): readonly T[] {
  return candidates.toSorted(
    (left, right) =>
      Number(right.useless) - Number(left.useless) ||
      left.lastUsedAt - right.lastUsedAt ||
      (left.key < right.key ? -1 : 1),
  )
}
