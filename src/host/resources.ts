import { readFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { CGROUP_ROOT, cgroupV1Path, cgroupV2Path } from './cgroups.ts'

/** What this process may use of the host: the host's own size, or less where a container bounds it. */
export interface HostResources {
  /** Processors' worth of time; not a whole number where a quota cuts it. */
  readonly cpus: number
  readonly memoryBytes: number
  /** Memory that can be used now without swapping, within the container's limit. */
  readonly memoryAvailableBytes: number
  /** What bounds memory and processors. */
  readonly boundedBy: 'host' | 'cgroup'
}

/** Values of this size and above mean "no limit" in cgroup v1, which has no word for it. */
const UNLIMITED_BYTES = 2 ** 62

/**
 * Measures them now. Synchronous: these files are memory of the kernel that never waits for a disk, and reading them
 * takes about a tenth of a millisecond, an order of magnitude less than through the thread pool.
 */
export function findResources(root = CGROUP_ROOT): HostResources {
  const meminfo = readFileSync('/proc/meminfo', 'utf8')
  const total = meminfoBytes(meminfo, 'MemTotal')
  const available = meminfoBytes(meminfo, 'MemAvailable')
  const membership = readText('/proc/self/cgroup') ?? ''
  const memory = memoryBounds(root, membership)
  const quota = cpuQuota(root, membership)
  const cpus = Math.min(availableParallelism(), quota ?? Infinity)
  const memoryBytes = Math.min(total, memory.limit)
  const bounded = memoryBytes < total || cpus < availableParallelism()
  return {
    cpus,
    memoryBytes,
    memoryAvailableBytes: Math.min(available, memory.room),
    boundedBy: bounded ? 'cgroup' : 'host',
  }
}

/** Free bytes for this user on the file system that holds `path`, or will once it exists. */
export async function freeDiskBytes(path: string): Promise<number> {
  for (let at = path; ; at = dirname(at)) {
    const found = await statfs(at).catch(() => undefined)
    if (found !== undefined) return found.bavail * found.bsize
    if (dirname(at) === at) return 0
  }
}

interface MemoryBounds {
  /** The smallest limit in bytes; Infinity without one. */
  readonly limit: number
  /** What can still be used below every limit. Not always that of the smallest: a wider one is shared with others. */
  readonly room: number
}

// A limit may stand on any ancestor. Above `memory.high` the kernel slows a group down instead of refusing it memory: for
// capacity that is a limit, too.
function memoryBounds(root: string, membership: string): MemoryBounds {
  const groups = [
    ...ancestors(cgroupV2Path(membership)).map((path) => ({
      limits: [join(root, path, 'memory.max'), join(root, path, 'memory.high')],
      used: join(root, path, 'memory.current'),
      stat: join(root, path, 'memory.stat'),
    })),
    ...ancestors(cgroupV1Path(membership, 'memory')).map((path) => ({
      limits: [join(root, 'memory', path, 'memory.limit_in_bytes')],
      used: join(root, 'memory', path, 'memory.usage_in_bytes'),
      stat: join(root, 'memory', path, 'memory.stat'),
    })),
  ]
  const bounds = { limit: Infinity, room: Infinity }
  for (const group of groups) {
    const limit = Math.min(...group.limits.map((path) => readNumber(path) ?? Infinity))
    if (limit >= UNLIMITED_BYTES) continue
    const used = (readNumber(group.used) ?? 0) - reclaimableBytes(readText(group.stat) ?? '')
    bounds.limit = Math.min(bounds.limit, limit)
    bounds.room = Math.min(bounds.room, Math.max(0, limit - Math.max(0, used)))
  }
  return bounds
}

// A group is charged for the page cache that it filled, which the kernel takes back before it refuses memory: MemAvailable
// of the host counts it as available, and so does this. The first version sums up its children under names of their own.
function reclaimableBytes(stat: string): number {
  const prefix = stat.includes('total_inactive_file') ? 'total_' : ''
  const value = (name: string): number => Number(new RegExp(`^${prefix}${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0)
  return value('inactive_file') + value('active_file') + value('slab_reclaimable')
}

function cpuQuota(root: string, membership: string): number | undefined {
  const quotas: number[] = []
  for (const path of ancestors(cgroupV2Path(membership))) {
    const [quota, period] = (readText(join(root, path, 'cpu.max')) ?? 'max').trim().split(/\s+/).map(Number)
    if (quota !== undefined && period !== undefined && quota > 0 && period > 0) quotas.push(quota / period)
  }
  for (const path of ancestors(cgroupV1Path(membership, 'cpu'))) {
    const quota = readNumber(join(root, 'cpu', path, 'cpu.cfs_quota_us'))
    const period = readNumber(join(root, 'cpu', path, 'cpu.cfs_period_us'))
    if (quota !== undefined && period !== undefined && quota > 0 && period > 0) quotas.push(quota / period)
  }
  return quotas.length === 0 ? undefined : Math.min(...quotas)
}

/** `/a/b` → `/a/b`, `/a`, `/`. In a container the path may name a directory outside; `/` is then its own limit. */
function ancestors(path: string | undefined): readonly string[] {
  if (path === undefined) return []
  const all: string[] = []
  for (let at = path; ; at = dirname(at)) {
    all.push(at)
    if (at === '/' || at === '.') return all
  }
}

function meminfoBytes(meminfo: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(meminfo)?.[1] ?? 0) * 1024
}

function readNumber(path: string): number | undefined {
  const text = readText(path)
  const value = text === undefined ? Number.NaN : Number(text.trim())
  return Number.isFinite(value) ? value : undefined
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
