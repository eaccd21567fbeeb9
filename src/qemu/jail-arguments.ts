import { QEMU_DESCRIPTORS } from './qemu-arguments.ts'
import type { QemuProgram, VmFile } from './vm-plan.ts'
import { THREADS_LIMIT } from './vm-limits.ts'
import { JAIL_DIRECTORY } from './vm-plan.ts'

/** One jail: everything that `renderJailArguments` needs, and nothing that it would have to look up. */
export interface Jail {
  readonly program: QemuProgram
  readonly files: readonly VmFile[]
  /** Set when root makes the jail: the uid and gid of this VM alone. Undefined for a normal user. */
  readonly uid: number | undefined
  /** Bytes of private memory that QEMU may map. */
  readonly dataBytes: number
}

/** QEMU's whole environment. One heap for all of its threads saves 1 MB per VM, and they seldom allocate at the same time. */
export const QEMU_ENVIRONMENT = { MALLOC_ARENA_MAX: '1' } as const

/** Files QEMU may have open: its own few, the image's, and one per pool thread. */
const OPEN_FILES_LIMIT = 256

/** The most that QEMU may write into a file: the state of a handful of devices takes 140 KB, and RAM is not written but mapped. */
const STATE_LIMIT_BYTES = 16_777_216

/**
 * The arguments of `bwrap` up to and without QEMU's program name. Pure.
 *
 * The jail assumes that the guest has taken QEMU over. It holds QEMU's own files and the VM's, all read-only; no
 * /proc, no /sys, no device (KVM arrives as an open descriptor), no network, no capabilities, no other process.
 */
export function renderJailArguments(jail: Jail): readonly string[] {
  return [...namespaces(jail), ...privileges(jail), ...fileSystem(jail), '--chdir', '/', '--', ...limits(jail)]
}

function namespaces(jail: Jail): readonly string[] {
  return [
    // Root needs no user namespace: it drops to a uid that nobody else has. A normal user can do nothing without one.
    ...(jail.uid === undefined ? ['--unshare-user'] : []),
    '--unshare-pid',
    '--unshare-ipc',
    '--unshare-uts',
    '--unshare-net',
    '--unshare-cgroup-try',
    '--hostname',
    'exec-sandbox',
    // Tells the host process whom to kill: see QemuChild.
    '--info-fd',
    String(QEMU_DESCRIPTORS.jail),
    // Whatever runs in here asks the kernel for little: see renderJailFilter.
    '--seccomp',
    String(QEMU_DESCRIPTORS.filter),
    // When the host process dies in any way the kernel kills bubblewrap, its pid namespace and all in it.
    '--die-with-parent',
    // Out of the terminal's reach, in both directions.
    '--new-session',
    '--clearenv',
    ...Object.entries(QEMU_ENVIRONMENT).flatMap(([name, value]) => ['--setenv', name, value]),
  ]
}

function privileges(jail: Jail): readonly string[] {
  const drop = ['--cap-drop', 'ALL']
  if (jail.uid === undefined) return drop
  // What setpriv needs to become somebody else and to give up everything; it gives these up too.
  return [...drop, '--cap-add', 'CAP_SETUID', '--cap-add', 'CAP_SETGID', '--cap-add', 'CAP_SETPCAP']
}

function fileSystem(jail: Jail): readonly string[] {
  return [
    ...rootOf(jail.program),
    '--tmpfs',
    '/run',
    // Made by name: a directory that bubblewrap makes on the way to a file can be entered by root only.
    '--dir',
    JAIL_DIRECTORY,
    ...jail.files.flatMap(({ host, jailed, writable }) => [writable === true ? '--bind' : '--ro-bind', host, jailed]),
    '--remount-ro',
    '/run',
  ]
}

function rootOf(program: QemuProgram): readonly string[] {
  if (program.kind === 'tree') return ['--ro-bind', program.root, '/']
  return program.directories.flatMap((directory) => ['--ro-bind-try', directory, directory])
}

/** Commands that each do one thing and become the next one. */
function limits(jail: Jail): readonly string[] {
  const threads = jail.uid === undefined ? [] : [`--nproc=${THREADS_LIMIT}`]
  return [
    '/usr/bin/prlimit',
    '--core=0',
    `--fsize=${jail.files.some(({ writable }) => writable === true) ? STATE_LIMIT_BYTES : 0}`,
    `--data=${jail.dataBytes}`,
    '--memlock=0',
    `--nofile=${OPEN_FILES_LIMIT}`,
    ...threads,
    ...(jail.uid === undefined ? [] : ['/usr/bin/setpriv', ...dropTo(jail.uid)]),
  ]
}

/** Arguments of setpriv(1) that leave nothing but an unprivileged uid. */
export function dropTo(uid: number): readonly string[] {
  return ['--reuid', String(uid), '--regid', String(uid), '--clear-groups', ...KEEP_NOTHING]
}

/** Arguments of setpriv(1) that take away what can still be had, and tie the process to its parent's life. */
export const KEEP_NOTHING: readonly string[] = [
  '--bounding-set=-all',
  '--inh-caps=-all',
  '--ambient-caps=-all',
  '--no-new-privs',
  // Cleared by the change of uid, so it is set again after it.
  '--pdeathsig',
  'KILL',
]
