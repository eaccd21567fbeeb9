import { constants } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Where this process stands in the host's control groups. */
export type CgroupFact =
  | { readonly state: 'delegated'; readonly directory: string; readonly controllers: readonly string[] }
  | { readonly state: 'not-delegated'; readonly reason: string }

export const CGROUP_ROOT = '/sys/fs/cgroup'

/** Controllers that bounding a VM takes. */
const NEEDED = ['memory', 'cpu', 'pids'] as const

/** Whether this process may make cgroups of its own below the one it is in (cgroup v2 delegation). */
export async function findCgroup(root = CGROUP_ROOT): Promise<CgroupFact> {
  const controllers = await readWords(join(root, 'cgroup.controllers'))
  if (controllers === undefined)
    return notDelegated('the unified hierarchy (cgroup v2) is not mounted at /sys/fs/cgroup')
  const membership = await readFile('/proc/self/cgroup', 'utf8').catch(() => '')
  const path = cgroupV2Path(membership)
  if (path === undefined) return notDelegated('this process is in no cgroup v2')
  const directory = join(root, path)
  const available = (await readWords(join(directory, 'cgroup.controllers'))) ?? []
  const lacking = NEEDED.filter((name) => !available.includes(name))
  if (lacking.length > 0) return notDelegated(`the cgroup of this process lacks the controllers ${lacking.join(', ')}`)
  const writable = await access(join(directory, 'cgroup.subtree_control'), constants.W_OK).then(
    () => true,
    () => false,
  )
  return writable
    ? { state: 'delegated', directory, controllers: available }
    : notDelegated(`${directory} is not writable by this user`)
}

function notDelegated(reason: string): CgroupFact {
  return { state: 'not-delegated', reason }
}

/** The path of the unified hierarchy in `/proc/<pid>/cgroup`. */
export function cgroupV2Path(membership: string): string | undefined {
  return /^0::(\/.*)$/m.exec(membership)?.[1]
}

/** The path of one controller of the first version in `/proc/<pid>/cgroup`. */
export function cgroupV1Path(membership: string, controller: string): string | undefined {
  for (const line of membership.split('\n')) {
    const [, names = '', path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    if (names.split(',').includes(controller)) return path
  }
  return undefined
}

async function readWords(path: string): Promise<readonly string[] | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return text
    ?.trim()
    .split(/\s+/)
    .filter((word) => word !== '')
}
