import { readdir, readFile } from 'node:fs/promises'

/** Memory of one process in bytes, from `/proc/<pid>/smaps_rollup` (proc(5)). */
export interface ProcessMemory {
  /** Pages that belong to no file, among them those of a privately mapped file that were written: copy-on-write made them
   * the process's own. */
  readonly anonymous: number
  /** Written pages that nobody else maps; in a mapped file also those whose file has not been written back. */
  readonly privateDirty: number
  /** Pages of files that only this process happens to map now: the next VM shares them. */
  readonly privateClean: number
  readonly shared: number
  readonly resident: number
  /** Resident pages, each divided by how many processes map it. */
  readonly proportional: number
}

/** Bytes in the kilobytes that the kernel counts in. */
const KIB = 1024

/** @throws when the process has ended or belongs to somebody else */
export async function readMemory(pid: number): Promise<ProcessMemory> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * KIB
  return {
    anonymous: field('Anonymous'),
    privateDirty: field('Private_Dirty'),
    privateClean: field('Private_Clean'),
    shared: field('Shared_Clean') + field('Shared_Dirty'),
    resident: field('Rss'),
    proportional: field('Pss'),
  }
}

/** CPU time of all threads of a process in milliseconds, to the nanosecond (`/proc/<pid>/task/<tid>/schedstat`). */
export async function readCpuMs(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`)
  const times = await Promise.all(
    threads.map(async (thread) => {
      // A thread that ended meanwhile takes its share with it: QEMU's pool threads, which idle away after seconds.
      const text = await readFile(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').catch(() => '0')
      return Number(text.split(' ')[0]) / 1e6
    }),
  )
  return times.reduce((sum, ms) => sum + ms, 0)
}

/** A process below this one. */
export interface ChildProcessFact {
  readonly pid: number
  readonly command: string
}

/** All processes that descend from `root`. */
export async function descendants(root: number = process.pid): Promise<readonly ChildProcessFact[]> {
  const children = new Map<number, ChildProcessFact[]>()
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
      // The second field is the command in parentheses and may itself hold spaces and parentheses.
      const close = stat.lastIndexOf(')')
      if (close === -1) return
      const parent = Number(stat.slice(close + 2).split(' ')[1])
      const fact = { pid: Number(pid), command: stat.slice(stat.indexOf('(') + 1, close) }
      children.set(parent, [...(children.get(parent) ?? []), fact])
    }),
  )
  const found: ChildProcessFact[] = []
  const queue = [...(children.get(root) ?? [])]
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    found.push(next)
    queue.push(...(children.get(next.pid) ?? []))
  }
  return found
}

/** QEMU under its own name, or started by its runtime tree's loader, whose name the kernel cuts at 15 characters. */
export function isQemu({ command }: ChildProcessFact): boolean {
  return command.startsWith('qemu-system') || command.startsWith('ld-linux')
}
