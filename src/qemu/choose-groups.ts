import { DependencyError, type Logger } from '../base/index.ts'
import { findCgroup, type GroupParent, removeStaleGroups } from '../host/index.ts'

/** The environment's word for a control group that is delegated to us. */
export const GROUP_VARIABLE = 'EXEC_SANDBOX_CGROUP'

/**
 * Where VMs get control groups on this host. What a killed host process left there is removed.
 * @returns undefined where none can be made; VMs then have rlimits alone
 * @throws DependencyError when the user names a group that cannot be used
 */
export async function chooseGroups(env: NodeJS.ProcessEnv, logger: Logger): Promise<GroupParent | undefined> {
  const fact = await findCgroup({ named: env[GROUP_VARIABLE] || undefined }).catch((error: unknown) => {
    const fix = `name a cgroup v2 directory that this user may write, with the controllers memory, cpu and pids and without processes, or unset ${GROUP_VARIABLE}`
    const message = error instanceof Error ? error.message : String(error)
    throw new DependencyError(`${message}. To mend it: ${fix}`, { dependency: 'cgroup', fix })
  })
  if (fact.state === 'not-delegated') {
    logger.debug('VMs have no control groups', { reason: fact.reason })
    return undefined
  }
  const removed = await removeStaleGroups(fact)
  if (removed.length > 0)
    logger.warn('removed control groups that a killed host process left', { groups: removed.length })
  return { directory: fact.directory, controllers: fact.controllers }
}
