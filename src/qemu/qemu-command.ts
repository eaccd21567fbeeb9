import { join } from 'node:path'
import { dropTo, KEEP_NOTHING, renderJailArguments } from './jail-arguments.ts'
import { renderQemuArguments } from './qemu-arguments.ts'
import type { ProcessPlan, QemuProgram, VmPlan } from './vm-plan.ts'

/** A command to spawn. */
export interface QemuCommand {
  readonly file: string
  readonly argv: readonly string[]
}

/** Where Debian keeps what QEMU loads, below the root of a runtime tree. */
const FIRMWARE = ['/usr/share/qemu', '/usr/share/seabios']
const LIBRARIES = ['/usr/lib/x86_64-linux-gnu', '/usr/lib']
const LOADER = '/lib64/ld-linux-x86-64.so.2'

/**
 * The whole command that starts QEMU for a plan: jail, limits, QEMU. Pure.
 * @param uid the VM's own uid when root starts it
 */
export function renderQemuCommand(plan: VmPlan, uid: number | undefined): QemuCommand {
  return confine(plan, uid, renderQemuArguments(plan))
}

/** As `renderQemuCommand`, for other arguments to the same program. */
export function confine(plan: ProcessPlan, uid: number | undefined, argv: readonly string[]): QemuCommand {
  const { program, jail } = plan
  if (jail.kind === 'off') return unconfined(program, uid, argv)
  const wall = renderJailArguments({ program, files: plan.files, uid })
  return { file: jail.path, argv: [...wall, program.binary, ...firmwareArguments(program, ''), ...argv] }
}

// Without a jail QEMU still has its seccomp filter, no new privileges, and a life tied to ours.
function unconfined(program: QemuProgram, uid: number | undefined, argv: readonly string[]): QemuCommand {
  const drop = uid === undefined ? KEEP_NOTHING.filter((word) => !word.startsWith('--bounding-set')) : dropTo(uid)
  if (program.kind === 'host') return { file: 'setpriv', argv: [...drop, program.binary, ...argv] }
  const libraries = LIBRARIES.map((directory) => join(program.root, directory)).join(':')
  const run = (binary: string): readonly string[] => [
    join(program.root, LOADER),
    '--library-path',
    libraries,
    join(program.root, binary),
  ]
  const [file = '', ...rest] = [...run('/usr/bin/setpriv'), ...drop, ...run(program.binary)]
  return { file, argv: [...rest, ...firmwareArguments(program, program.root), ...argv] }
}

function firmwareArguments(program: QemuProgram, prefix: string): readonly string[] {
  if (program.kind === 'host') return []
  return FIRMWARE.flatMap((directory) => ['-L', join(prefix || '/', directory)])
}
