/** Uids from which each VM of a root-run host gets one of its own. */
export interface UidRange {
  readonly first: number
  readonly count: number
}

/**
 * First uid of the range on an ordinary host. systemd's registry of uid ranges (UIDS-GIDS.md) lists
 * 1879048192–2147352575 as unused: above what it hands to containers, below what 32-bit signed uids break on.
 */
const ORDINARY_FIRST = 1_879_048_192

/** VMs under one kernel at a time, at most: far more than its memory holds. */
const COUNT = 4096

/** Uids below this belong to people and services even in a container. */
const FIRST_FREE_IN_CONTAINER = 20_000

/** 65534 and 65535 are `nobody` and the invalid uid. */
const RESERVED_AT_TOP = 2

/**
 * The range that jails of root may use, from the text of `/proc/self/uid_map`. In a container only some uids are
 * mapped: the range is then the top of the lowest mapping. Undefined when too few are mapped to have one.
 */
export function jailUidRange(uidMap: string): UidRange | undefined {
  const mappings = uidMap
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
  const holds = (first: number, count: number): boolean =>
    mappings.some(([start = 0, , length = 0]) => first >= start && first + count <= start + length)
  if (holds(ORDINARY_FIRST, COUNT)) return { first: ORDINARY_FIRST, count: COUNT }
  const [start = 0, , length = 0] = mappings.find(([begin]) => begin === 0) ?? []
  const first = start + length - RESERVED_AT_TOP - COUNT
  return first >= FIRST_FREE_IN_CONTAINER ? { first, count: COUNT } : undefined
}
