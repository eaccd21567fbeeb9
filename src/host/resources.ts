import { readFile, statfs } from 'node:fs/promises'
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

export async function findResources(root = CGROUP_ROOT): Promise<HostResources> {
  const meminfo = await readFile('/proc/meminfo', 'utf8')
  const total = meminfoBytes(meminfo, 'MemTotal')
  const available = meminfoBytes(meminfo, 'MemAvailable')
  const membership = await readFile('/proc/self/cgroup', 'utf8').catch(() => '')
  const memory = await memoryLimit(root, membership)
  const quota = await cpuQuota(root, membership)
  const cpus = Math.min(availableParallelism(), quota ?? Infinity)
  const memoryBytes = Math.min(total, memory.limit ?? Infinity)
  const room = memory.limit === undefined ? Infinity : Math.max(0, memory.limit - memory.used)
  const bounded = memoryBytes < total || cpus < availableParallelism()
  return {
    cpus,
    memoryBytes,
    memoryAvailableBytes: Math.min(available, room),
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

interface MemoryLimit {
  readonly limit: number | undefined
  readonly used: number
}

// A limit may stand on any ancestor; the smallest one holds.
async function memoryLimit(root: string, membership: string): Promise<MemoryLimit> {
  const v2 = cgroupV2Path(membership)
  const v1 = cgroupV1Path(membership, 'memory')
  const candidates = [
    ...ancestors(v2).map((path) => ({
      limit: join(root, path, 'memory.max'),
      used: join(root, path, 'memory.current'),
    })),
    ...ancestors(v1).map((path) => ({
      limit: join(root, 'memory', path, 'memory.limit_in_bytes'),
      used: join(root, 'memory', path, 'memory.usage_in_bytes'),
    })),
  ]
  let smallest: MemoryLimit = { limit: undefined, used: 0 }
  for (const candidate of candidates) {
    const limit = await readNumber(candidate.limit)
    if (limit === undefined || limit >= UNLIMITED_BYTES || limit >= (smallest.limit ?? Infinity)) continue
    smallest = { limit, used: (await readNumber(candidate.used)) ?? 0 }
  }
  return smallest
}

async function cpuQuota(root: string, membership: string): Promise<number | undefined> {
  const quotas: number[] = []
  for (const path of ancestors(cgroupV2Path(membership))) {
    const [quota, period] = ((await readText(join(root, path, 'cpu.max'))) ?? 'max').trim().split(/\s+/).map(Number)
    if (quota !== undefined && period !== undefined && quota > 0 && period > 0) quotas.push(quota / period)
  }
  for (const path of ancestors(cgroupV1Path(membership, 'cpu'))) {
    const quota = await readNumber(join(root, 'cpu', path, 'cpu.cfs_quota_us'))
    const period = await readNumber(join(root, 'cpu', path, 'cpu.cfs_period_us'))
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

async function readNumber(path: string): Promise<number | undefined> {
  const value = Number((await readText(path))?.trim())
  return Number.isFinite(value) ? value : undefined
}

async function readText(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined)
}
