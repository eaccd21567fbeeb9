import { readdir, readFile } from 'node:fs/promises'

/** How our jails are known among all processes of the host: words of their own in this order (jail-arguments.ts). */
const MARK = '\0--hostname\0exec-sandbox\0'

/**
 * Kills jails whose host process died while bubblewrap was still setting them up, in the few milliseconds before the inner
 * process has asked the kernel to die with the outer one. Every other VM dies with its host process at once.
 * @returns pids that were killed
 */
export async function killOrphans(): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(pids.map(async (pid) => ((await isOrphan(pid)) ? pid : undefined)))
  const orphans = found.filter((pid) => pid !== undefined)
  for (const pid of orphans) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended by itself, or belongs to another user, whose next start removes it.
    }
  }
  return orphans
}

/** First of a pid namespace, made by us, and its parent is not the bubblewrap that made it. */
async function isOrphan(pid: number): Promise<boolean> {
  if (!(await isOurJail(pid))) return false
  const status = await read(`/proc/${pid}/status`)
  const first = /^NSpid:\s+\d+\s+(?:\d+\s+)*1$/m.test(status)
  const parent = Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1] ?? 0)
  // Asked in this order the parent cannot have been another's: a process has its own bubblewrap or a reaper above it.
  return first && !(await isOurJail(parent))
}

async function isOurJail(pid: number): Promise<boolean> {
  const commandLine = await read(`/proc/${pid}/cmdline`)
  return commandLine.includes(MARK) && /(^|\/)bwrap$/.test(commandLine.split('\0')[0] ?? '')
}

async function read(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '')
}
