import { readFile } from 'node:fs/promises'
import { DependencyError } from '../base/index.ts'
import { findBubblewrap, jailUidRange } from '../host/index.ts'
import type { JailPlan } from './vm-plan.ts'

/** Whether QEMU must be jailed. `off` is for containers that forbid namespaces. */
export type JailMode = 'required' | 'off'

/**
 * How QEMU is confined on this host, found by trying.
 * @throws DependencyError when a jail is required and cannot be made
 */
export async function chooseJail(mode: JailMode, env: NodeJS.ProcessEnv): Promise<JailPlan> {
  if (mode === 'off') return { kind: 'off', user: await userWithoutJail() }
  const fact = await findBubblewrap(env)
  if (fact.state === 'usable') return { kind: 'bubblewrap', path: fact.path, maker: fact.maker }
  const what = fact.state === 'missing' ? 'bubblewrap is missing' : 'bubblewrap may not make a jail on this host'
  throw new DependencyError(`${what}: ${fact.reason}. QEMU does not run without its jail.`, {
    dependency: 'bubblewrap',
    fix: fact.fix,
  })
}

async function userWithoutJail(): Promise<{ kind: 'user' } | { kind: 'root'; uids: { first: number; count: number } }> {
  if (process.geteuid?.() !== 0) return { kind: 'user' }
  const uids = jailUidRange(await readFile('/proc/self/uid_map', 'utf8').catch(() => ''))
  return uids === undefined ? { kind: 'user' } : { kind: 'root', uids }
}
