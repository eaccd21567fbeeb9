import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmdirSync } from 'node:fs'
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { errnoOf } from '../base/index.ts'
import type { GroupParent } from './cgroups.ts'

/** What a VM may take of its host. */
export interface GroupLimits {
  readonly memoryBytes: number
  /** Processors, also parts of one. */
  readonly cpus: number
  /** Processes and threads. */
  readonly tasks: number
}

/** What a VM has taken. Undefined where this kernel does not tell. */
export interface GroupUsage {
  readonly cpuMs: number | undefined
  readonly peakBytes: number | undefined
}

/** The period over which `cpu.max` counts, in microseconds: the kernel's default. */
const PERIOD_US = 100_000

/** The lines of a group's files that set its limits. Pure. */
export function renderLimits(
  limits: GroupLimits,
  controllers: readonly string[],
): readonly (readonly [string, string])[] {
  const all = [
    ['memory', 'memory.max', String(Math.floor(limits.memoryBytes))],
    // All of it ends together: half a QEMU is none.
    ['memory', 'memory.oom.group', '1'],
    ['cpu', 'cpu.max', `${Math.round(limits.cpus * PERIOD_US)} ${PERIOD_US}`],
    ['pids', 'pids.max', String(limits.tasks)],
  ] as const
  return all.filter(([controller]) => controllers.includes(controller)).map(([, file, value]) => [file, value])
}

/** `exec-sandbox.vm-<pid of the host process>-<random>`; the pid tells the next start whose it was. */
const NAME = /^exec-sandbox\.(?:vm|trial)-(\d+)(?:-[0-9a-f]+)?$/

/** Looks at a group that is not yet empty: a killed process is counted until it is reaped. */
const REMOVAL_LOOKS = 200
const REMOVAL_PAUSE_MS = 5

/** The control group of one VM, from before its first process to after its last. */
export class VmGroup implements AsyncDisposable {
  readonly directory: string

  private constructor(directory: string) {
    this.directory = directory
  }

  /** Makes a bounded group. Nothing is left when that fails. */
  static async create(parent: GroupParent, limits: GroupLimits): Promise<VmGroup> {
    const directory = join(parent.directory, `exec-sandbox.vm-${process.pid}-${randomBytes(6).toString('hex')}`)
    await mkdir(directory)
    try {
      for (const [file, value] of renderLimits(limits, parent.controllers))
        await writeFile(join(directory, file), value)
      return new VmGroup(directory)
    } catch (error) {
      await rmdir(directory).catch(() => undefined)
      throw error
    }
  }

  usage(): GroupUsage {
    return {
      cpuMs: numberIn(this.#read('cpu.stat'), /^usage_usec (\d+)$/m, 1 / 1_000),
      peakBytes: numberIn(this.#read('memory.peak'), /^(\d+)$/m, 1),
    }
  }

  /** Whether the kernel has ended processes of it for want of memory below `memory.max`. */
  get ranOutOfMemory(): boolean {
    return (numberIn(this.#read('memory.events'), /^oom_kill (\d+)$/m, 1) ?? 0) > 0
  }

  #read(file: string): string {
    try {
      return readFileSync(join(this.directory, file), 'utf8')
    } catch {
      return ''
    }
  }

  /** Removes it, once its last process is gone. What cannot be removed is left to the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (let looks = 0; looks < REMOVAL_LOOKS; looks += 1) {
      try {
        rmdirSync(this.directory)
        return
      } catch (error) {
        if (errnoOf(error) !== 'EBUSY') return
      }
      await delay(REMOVAL_PAUSE_MS)
    }
  }
}

function numberIn(text: string, pattern: RegExp, factor: number): number | undefined {
  const found = pattern.exec(text)?.[1]
  return found === undefined ? undefined : Number(found) * factor
}

/**
 * Removes groups of VMs whose host process is gone. A group that holds a process cannot be removed, so nothing that lives is
 * harmed, whoever's it is.
 * @returns names of those that were removed
 */
export async function removeStaleGroups(parent: GroupParent): Promise<readonly string[]> {
  const names = await readdir(parent.directory).catch(() => [])
  const removed: string[] = []
  for (const name of names) {
    const owner = NAME.exec(name)?.[1]
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue
    const directory = join(parent.directory, name)
    if (!(await isEmpty(directory))) continue
    await rmdir(directory).then(
      () => removed.push(name),
      () => undefined,
    )
  }
  return removed
}

async function isEmpty(directory: string): Promise<boolean> {
  const events = await readFile(join(directory, 'cgroup.events'), 'utf8').catch(() => '')
  return !/^populated 1$/m.test(events)
}
