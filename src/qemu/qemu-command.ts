import { join } from 'node:path'
import { dropTo, KEEP_NOTHING, renderJailArguments } from './jail-arguments.ts'
import { renderQemuArguments } from './qemu-arguments.ts'
import { dataLimit } from './vm-limits.ts'
import { openedPath, openedPaths, type ProcessPlan, type QemuProgram, type VmPlan } from './vm-plan.ts'

/** A command to spawn. */
export interface QemuCommand {
  readonly file: string
  readonly argv: readonly string[]
  /** Whether the first process is bubblewrap, which tells the pid of its namespace's first process. */
  readonly jailed: boolean
  /** Paths the host process opens for it, as descriptors 8 and up. */
  readonly opened: readonly string[]
}

/** Where Debian keeps what QEMU loads, below the root of a runtime tree. */
const FIRMWARE = ['/usr/share/qemu', '/usr/share/seabios']
const LIBRARIES = ['/usr/lib/x86_64-linux-gnu', '/usr/lib']
const LOADER = '/lib64/ld-linux-x86-64.so.2'

/**
 * The whole command that starts QEMU for a plan: jail, limits, QEMU. Pure.
 * @param uid the VM's own uid when root starts it
 * @param group directory of its control group, if it has one
 */
export function renderQemuCommand(plan: VmPlan, uid: number | undefined, group?: string): QemuCommand {
  return confine(plan, uid, renderQemuArguments(plan), group)
}

/** As `renderQemuCommand`, for other arguments to the same program. */
export function confine(
  plan: ProcessPlan & Partial<Pick<VmPlan, 'memoryMb'>>,
  uid: number | undefined,
  argv: readonly string[],
  group?: string,
): QemuCommand {
  const { program, jail } = plan
  const inGroup = (command: QemuCommand): QemuCommand => (group === undefined ? command : enter(group, command))
  if (jail.kind === 'off')
    return inGroup({ ...unconfined(program, uid, argv), jailed: false, opened: openedPaths(plan) })
  const wall = renderJailArguments({ program, files: plan.files, uid, dataBytes: dataLimit(plan.memoryMb) })
  return inGroup({
    file: jail.path,
    argv: [...wall, program.binary, ...firmwareArguments(program, '/'), ...argv],
    jailed: true,
    opened: [],
  })
}

/** The first thing the process does is to enter its group (0 is whoever writes), so all that comes of it is in there. */
function enter(group: string, command: QemuCommand): QemuCommand {
  const script = 'echo 0 >"$0/cgroup.procs" && exec "$@"'
  return { ...command, file: '/bin/sh', argv: ['-c', script, group, command.file, ...command.argv] }
}

type UnopenedCommand = Omit<QemuCommand, 'opened' | 'jailed'>

// Without a jail QEMU still has its seccomp filter, no new privileges, and a life tied to ours.
function unconfined(program: QemuProgram, uid: number | undefined, argv: readonly string[]): UnopenedCommand {
  const drop = uid === undefined ? KEEP_NOTHING.filter((word) => !word.startsWith('--bounding-set')) : dropTo(uid)
  if (program.kind === 'host') return { file: 'setpriv', argv: [...drop, program.binary, ...argv] }
  // setpriv starts as who we are; what it starts may not see the tree but through its descriptor.
  const seen = uid === undefined ? program.root : openedPath(0)
  const [file = '', ...start] = [...withLoader(program.root, '/usr/bin/setpriv'), ...drop]
  return { file, argv: [...start, ...withLoader(seen, program.binary), ...firmwareArguments(program, seen), ...argv] }
}

/** A program of a tree started with the tree's own loader and libraries. */
function withLoader(root: string, binary: string): readonly string[] {
  const libraries = LIBRARIES.map((directory) => join(root, directory)).join(':')
  return [join(root, LOADER), '--library-path', libraries, join(root, binary)]
}

function firmwareArguments(program: QemuProgram, root: string): readonly string[] {
  if (program.kind === 'host') return []
  return FIRMWARE.flatMap((directory) => ['-L', join(root, directory)])
}
