import { readdirSync, readFileSync } from 'node:fs'

/** O_CLOEXEC in the octal `flags` of /proc/<pid>/fdinfo (proc(5)). */
const CLOSE_ON_EXEC = 0o2000000

/** QEMU's own descriptors without a jail go up to 7, and those below are replaced anyway; so is bubblewrap's next one in a jail. */
export const FIRST_FOREIGN = 8

/**
 * Descriptors of this process that survive exec and that nobody chose to pass on, in ascending order. Read without
 * waiting, because it is read once, when the program starts.
 */
export function findInheritable(): readonly number[] {
  try {
    return readdirSync('/proc/self/fd')
      .map(Number)
      .filter((descriptor) => descriptor >= FIRST_FOREIGN && survivesExec(descriptor))
      .toSorted((a, b) => a - b)
  } catch {
    return []
  }
}

function survivesExec(descriptor: number): boolean {
  try {
    const info = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8')
    const flags = Number.parseInt(/^flags:\s+([0-7]+)/m.exec(info)?.[1] ?? '', 8)
    return (flags & CLOSE_ON_EXEC) === 0
  } catch {
    // It was the descriptor of the listing itself, closed by now.
    return false
  }
}
