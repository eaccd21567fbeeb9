import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CGROUP_ROOT, cgroupV2Path } from './cgroups.ts'

export interface PressureFiles {
  /** @default '/proc/pressure/memory' */
  readonly host?: string
  /** Where the control groups are mounted. @default '/sys/fs/cgroup' */
  readonly cgroupRoot?: string
  /** What /proc/self/cgroup says. @default its content */
  readonly membership?: string
}

/**
 * Percentage of the last ten seconds in which some task waited for memory: the higher of the host's and that of the
 * control group this process is in. Undefined where the kernel does not tell (no PSI).
 * Source: Linux, Documentation/accounting/psi.rst.
 */
export function memoryPressure(files: PressureFiles = {}): number | undefined {
  const root = files.cgroupRoot ?? CGROUP_ROOT
  const path = cgroupV2Path(files.membership ?? readText('/proc/self/cgroup'))
  const candidates = [files.host ?? '/proc/pressure/memory']
  if (path !== undefined) {
    // Where both versions are mounted, systemd puts the unified hierarchy one folder down.
    candidates.push(join(root, path, 'memory.pressure'), join(root, 'unified', path, 'memory.pressure'))
  }
  const known = candidates.map((file) => parsePressure(readText(file))).filter((value) => value !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}

/** `avg10` of the line `some` in a pressure file, in percent. */
export function parsePressure(text: string): number | undefined {
  const value = /^some avg10=(\d+(?:\.\d+)?)(?= |$)/m.exec(text)?.[1]
  return value === undefined ? undefined : Number(value)
}

// A kernel with PSI switched off has the file and refuses to open it (EOPNOTSUPP).
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
