import { join } from 'node:path'
import { programFile, renderQemuArguments, type VmPlan } from '../../../qemu/index.ts'

/** What starts a bare QEMU. */
export interface BareCommand {
  readonly file: string
  readonly argv: readonly string[]
  readonly accelerator: 'kvm' | 'tcg'
}

/**
 * The plan's own QEMU with the plan's own arguments, and nothing around it: no jail, no change of user, no limits. A
 * runtime tree brings its loader and its libraries, so they are named by hand. Pure.
 */
export function renderBareCommand(plan: VmPlan): BareCommand {
  const { program, accelerator } = plan
  const argv = renderQemuArguments({ ...plan, jail: { kind: 'off', user: { kind: 'user' } } })
  const binary = programFile(program)
  if (program.kind === 'host') return { file: binary, argv, accelerator }
  const { root } = program
  const libraries = ['/usr/lib/x86_64-linux-gnu', '/usr/lib'].map((directory) => join(root, directory)).join(':')
  const firmware = ['/usr/share/qemu', '/usr/share/seabios'].flatMap((directory) => ['-L', join(root, directory)])
  const loader = join(root, '/lib64/ld-linux-x86-64.so.2')
  return { file: loader, argv: ['--library-path', libraries, binary, ...firmware, ...argv], accelerator }
}
