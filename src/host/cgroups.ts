import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errnoOf } from '../base/index.ts'

/** A control group in which groups of our own can be made and bounded (cgroup v2 delegation). */
export interface GroupParent {
  readonly directory: string
  /** Controllers that groups in it have. */
  readonly controllers: readonly string[]
}

/** Whether VMs can have control groups here. */
export type CgroupFact =
  | ({ readonly state: 'delegated' } & GroupParent)
  | { readonly state: 'not-delegated'; readonly reason: string }

export const CGROUP_ROOT = '/sys/fs/cgroup'

/** Controllers that bounding a VM takes. */
const NEEDED = ['memory', 'cpu', 'pids'] as const

/** Where this process stands; a test gives another tree that imitates the kernel's. */
export interface CgroupPlace {
  /** @default /sys/fs/cgroup */
  readonly root?: string
  /** Content of /proc/self/cgroup. @default read */
  readonly membership?: string
  /** @default this process */
  readonly pid?: number
  /** A group that the user names: EXEC_SANDBOX_CGROUP. @default none */
  readonly named?: string | undefined
}

/** The group of the host process itself, once it has made room: a group with controllers for others holds no processes. */
const OWN_LEAF = 'exec-sandbox.host'

/**
 * Finds a group below which each VM can have one of its own. Tried in this order: the one that the user names; the one above this process's, if
 * it is delegated; the one that this process is in alone, which it then leaves for a leaf below. Groups in which
 * other processes are, and slices, which are systemd's own, stay as they are (Documentation/admin-guide/cgroup-v2.rst, "No Internal Process Constraint",
 * "Delegation").
 * @throws Error when the user names a group that cannot be used
 */
export async function findCgroup(place: CgroupPlace = {}): Promise<CgroupFact> {
  if (place.named !== undefined) {
    const fact = await tryParent(place.named)
    if (fact.state === 'delegated') return fact
    throw new Error(`EXEC_SANDBOX_CGROUP names ${place.named}: ${fact.reason}`)
  }
  const root = place.root ?? CGROUP_ROOT
  if ((await readWords(join(root, 'cgroup.controllers'))) === undefined)
    return notDelegated('the unified hierarchy (cgroup v2) is not mounted at /sys/fs/cgroup')
  const path = cgroupV2Path(place.membership ?? (await readFile('/proc/self/cgroup', 'utf8').catch(() => '')))
  if (path === undefined) return notDelegated('this process is in no cgroup v2')
  const own = join(root, path)
  if (path !== '/' && !basename(dirname(own)).endsWith('.slice')) {
    const above = await tryParent(dirname(own))
    if (above.state === 'delegated') return above
  }
  return await tryOwn(own, place.pid ?? process.pid)
}

/** The group this process is in, if nobody else is: it moves to a leaf, and the group is free for others. */
async function tryOwn(own: string, pid: number): Promise<CgroupFact> {
  const lacking = await lackingIn(own)
  if (lacking !== undefined) return notDelegated(lacking)
  const inside = (await readWords(join(own, 'cgroup.procs'))) ?? []
  if (inside.some((other) => other !== String(pid)))
    return notDelegated(`${own} holds other processes than this one, so groups in it cannot be bounded`)
  const leaf = join(own, OWN_LEAF)
  try {
    await mkdir(leaf, { recursive: true })
    await writeFile(join(leaf, 'cgroup.procs'), String(pid))
  } catch (error) {
    return notDelegated(`${own} is not writable by this user (${codeOf(error)})`)
  }
  return await tryParent(own)
}

/** Turns the controllers on for groups below, and sees whether that and making one is allowed. */
async function tryParent(directory: string): Promise<CgroupFact> {
  const lacking = await lackingIn(directory)
  if (lacking !== undefined) return notDelegated(lacking)
  const trial = join(directory, `exec-sandbox.trial-${process.pid}`)
  try {
    await writeFile(join(directory, 'cgroup.subtree_control'), NEEDED.map((name) => `+${name}`).join(' '))
    await mkdir(trial)
    await rmdir(trial)
    return { state: 'delegated', directory, controllers: NEEDED }
  } catch (error) {
    return notDelegated(`groups cannot be made and bounded in ${directory} (${codeOf(error)})`)
  }
}

async function lackingIn(directory: string): Promise<string | undefined> {
  const available = await readWords(join(directory, 'cgroup.controllers'))
  if (available === undefined) return `${directory} is no control group`
  const lacking = NEEDED.filter((name) => !available.includes(name))
  return lacking.length === 0 ? undefined : `${directory} lacks the controllers ${lacking.join(', ')}`
}

function codeOf(error: unknown): string {
  return errnoOf(error) ?? String(error)
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
