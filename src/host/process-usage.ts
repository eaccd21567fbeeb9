import { readFileSync } from 'node:fs'
import type { GroupUsage } from './vm-group.ts'

/** Clock ticks of /proc/<pid>/stat in a second: 100 on every Linux that Node runs on (USER_HZ). */
const TICKS_PER_SECOND = 100

/** What a process has taken so far, by proc(5): user and system time, and the most memory that was resident at once. */
export function readProcessUsage(pid: number): GroupUsage {
  const stat = read(`/proc/${pid}/stat`)
  // The second field is the command in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  const peakKb = /^VmHWM:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`))?.[1]
  return {
    cpuMs: Number.isNaN(ticks) ? undefined : (ticks * 1_000) / TICKS_PER_SECOND,
    peakBytes: peakKb === undefined ? undefined : Number(peakKb) * 1_024,
  }
}

/** The processes that a process has started and that still run (CONFIG_PROC_CHILDREN), oldest first. */
export function childrenOf(pid: number): readonly number[] {
  return read(`/proc/${pid}/task/${pid}/children`)
    .split(' ')
    .filter((word) => word !== '')
    .map(Number)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
