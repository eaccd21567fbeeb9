import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { z } from 'zod'
import { DependencyError } from '../base/index.ts'
import {
  findBubblewrap,
  findInPath,
  type HostPaths,
  type JailMaker,
  jailConditions,
  jailUidRange,
  jailVerdictFile,
  readBootId,
  writeJsonAtomic,
} from '../host/index.ts'
import type { JailPlan } from './vm-plan.ts'

/** Whether QEMU must be jailed. `off` is for containers that forbid namespaces. */
export type JailMode = 'required' | 'off'

const jailMaker = z.union([
  z.object({ kind: z.literal('root'), uids: z.object({ first: z.number().int(), count: z.number().int() }) }),
  z.object({ kind: z.literal('user') }),
])

/**
 * How QEMU is confined on this host, found by trying. A success is remembered for this boot of the host as long as nothing
 * changes that it depends on: trying costs two processes, and every use of the command line would pay for them.
 * @throws DependencyError when a jail is required and cannot be made
 */
export async function chooseJail(mode: JailMode, env: NodeJS.ProcessEnv, paths: HostPaths): Promise<JailPlan> {
  if (mode === 'off') return { kind: 'off', user: await userWithoutJail() }
  const found = await findInPath('bwrap', env['PATH'] ?? '')
  const kept = found === undefined ? undefined : jailVerdictFile(paths, await verdictKey(found))
  const known = kept === undefined ? undefined : await recall(kept)
  // The program is the one that was found now: what is started as root is not read from a file.
  if (found !== undefined && known !== undefined) return { kind: 'bubblewrap', path: found, maker: known }
  const fact = await findBubblewrap(env)
  if (fact.state === 'usable') {
    const { path, maker } = fact
    // A cache that cannot be written costs the trial each time; whoever needs it writable says so.
    if (kept !== undefined) await writeJsonAtomic(kept, maker).catch(() => undefined)
    return { kind: 'bubblewrap', path, maker }
  }
  const what = fact.state === 'missing' ? 'bubblewrap is missing' : 'bubblewrap may not make a jail on this host'
  throw new DependencyError(`${what}: ${fact.reason}. QEMU does not run without its jail.`, {
    dependency: 'bubblewrap',
    fix: fact.fix,
  })
}

/** The name under which a success is kept; whatever could turn it into a failure is another name. */
async function verdictKey(path: string): Promise<string> {
  const { size, mtimeMs, mode, uid } = await stat(path)
  const parts = [path, size, mtimeMs, mode, uid, await readBootId(), await jailConditions()]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
}

async function recall(file: string): Promise<JailMaker | undefined> {
  try {
    return jailMaker.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch {
    return undefined
  }
}

async function userWithoutJail(): Promise<{ kind: 'user' } | { kind: 'root'; uids: { first: number; count: number } }> {
  if (process.geteuid?.() !== 0) return { kind: 'user' }
  const uids = jailUidRange(await readFile('/proc/self/uid_map', 'utf8').catch(() => ''))
  return uids === undefined ? { kind: 'user' } : { kind: 'root', uids }
}
