import { constants } from 'node:fs'
import { access, readFile, readlink } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { runCommand } from './command.ts'
import { jailUidRange, type UidRange } from './uid-range.ts'

/** How a jail is made here: by root with a uid of its own per VM, or by a normal user in a user namespace. */
export type JailMaker = { readonly kind: 'root'; readonly uids: UidRange } | { readonly kind: 'user' }

/** What was found out about bubblewrap by running it. */
export type BubblewrapFact =
  | { readonly state: 'usable'; readonly path: string; readonly version: string; readonly maker: JailMaker }
  | { readonly state: 'missing'; readonly reason: string; readonly fix: string }
  | {
      readonly state: 'forbidden'
      readonly path: string
      readonly version: string
      readonly reason: string
      readonly fix: string
    }

/** A trial jail does nothing but start: seconds mean that the host hangs. */
const TRIAL_TIMEOUT_MS = 10_000

const INSTALL_FIX = 'apt-get install -y bubblewrap'

/** Namespaces every jail has; a trial without one of them would prove nothing. */
const NAMESPACES = ['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-net', '--unshare-cgroup-try']

/** Finds bubblewrap in PATH and runs it once for real, in the way a jail would be made. */
export async function findBubblewrap(env: NodeJS.ProcessEnv): Promise<BubblewrapFact> {
  const path = await findInPath('bwrap', env['PATH'] ?? '')
  if (path === undefined) {
    return { state: 'missing', reason: 'there is no `bwrap` in PATH', fix: INSTALL_FIX }
  }
  const asked = await runCommand(path, ['--version'], { timeoutMs: TRIAL_TIMEOUT_MS })
  if (asked.code !== 0) {
    return {
      state: 'missing',
      reason: `${path} does not run: ${firstLine(asked.stderr, asked.startError)}`,
      fix: INSTALL_FIX,
    }
  }
  const version = asked.stdout.trim().replace(/^bubblewrap\s+/, '')
  const refusals: string[] = []
  for (const maker of await candidateMakers()) {
    const refusal = await tryJail(path, maker)
    if (refusal === undefined) return { state: 'usable', path, version, maker }
    refusals.push(refusal)
  }
  const reason = refusals.join('; ')
  return { state: 'forbidden', path, version, reason, fix: await fixFor(reason) }
}

// Root with enough mapped uids drops each VM to a uid of its own. Root without them (a container that maps one uid)
// or without the capability to make namespaces is treated like a normal user.
async function candidateMakers(): Promise<readonly JailMaker[]> {
  const uids = process.geteuid?.() === 0 ? jailUidRange(await readText('/proc/self/uid_map')) : undefined
  return uids === undefined ? [{ kind: 'user' }] : [{ kind: 'root', uids }, { kind: 'user' }]
}

/** The reason why a jail cannot be made, undefined when it can. */
async function tryJail(path: string, maker: JailMaker): Promise<string | undefined> {
  const user = maker.kind === 'user' ? ['--unshare-user'] : []
  const outcome = await runCommand(
    path,
    [...user, ...NAMESPACES, '--die-with-parent', '--ro-bind', '/', '/', '--', '/bin/true'],
    { timeoutMs: TRIAL_TIMEOUT_MS },
  )
  if (outcome.code === 0) return undefined
  if (outcome.timedOut) return `a trial jail (${maker.kind}) did not start within ${TRIAL_TIMEOUT_MS / 1000} s`
  return `a trial jail (${maker.kind}) failed: ${firstLine(outcome.stderr, outcome.startError)}`
}

/** The switches by which hosts forbid user namespaces, each with the value that does and the command that allows them. */
const SWITCHES = [
  {
    file: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
    forbids: '1',
    fix: 'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
  },
  {
    file: '/proc/sys/kernel/unprivileged_userns_clone',
    forbids: '0',
    fix: 'sudo sysctl -w kernel.unprivileged_userns_clone=1',
  },
  { file: '/proc/sys/user/max_user_namespaces', forbids: '0', fix: 'sudo sysctl -w user.max_user_namespaces=15000' },
] as const

async function fixFor(reason: string): Promise<string> {
  for (const { file, forbids, fix } of SWITCHES) {
    if ((await readText(file)).trim() === forbids) return fix
  }
  if (/setuid|No permissions to create/i.test(reason)) return 'sudo sysctl -w kernel.unprivileged_userns_clone=1'
  return 'in a container: allow it to make namespaces (for Docker: --security-opt seccomp=unconfined --security-opt apparmor=unconfined); or give the option jail: "off"'
}

/**
 * Everything that decides whether bubblewrap may make a jail here, as text: equal texts in one boot of the host mean equal
 * answers. Who we are and may do, the namespaces we are in, and the switches of the kernel.
 */
export async function jailConditions(): Promise<string> {
  const status = (await readText('/proc/self/status')).split('\n')
  const rights = status.filter((line) => /^(?:Uid|Gid|CapEff|CapBnd|NoNewPrivs|Seccomp):/.test(line))
  const namespaces = await Promise.all(
    ['user', 'mnt', 'pid', 'net'].map(async (name) => await readlink(`/proc/self/ns/${name}`).catch(() => name)),
  )
  const confinement = (await readText('/proc/self/attr/current')).trim()
  const switches = await Promise.all(SWITCHES.map(async ({ file }) => (await readText(file)).trim()))
  const uids = await readText('/proc/self/uid_map')
  return JSON.stringify([rights, namespaces, confinement, switches, uids])
}

/** The full path of a program, found as a shell would. */
export async function findInPath(name: string, path: string): Promise<string | undefined> {
  for (const directory of path.split(delimiter).filter(isAbsolute)) {
    const candidate = join(directory, name)
    const found = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found) return candidate
  }
  return undefined
}

async function readText(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '')
}

function firstLine(stderr: string, startError: string | undefined): string {
  return stderr.trim().split('\n')[0] || startError || 'no message'
}
