import { access } from 'node:fs/promises'
import { constants } from 'node:fs'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { DependencyError } from '../base/index.ts'
import type { QemuProgram } from './vm-plan.ts'

/** The image's own QEMU: compiled for our machine, with both accelerators. */
const TREE_BINARY = '/usr/bin/qemu-system-x86_64'

/** What a QEMU of the host may need of it: programs, libraries, firmware, and the loader's cache. */
const HOST_DIRECTORIES = ['/usr', '/bin', '/lib', '/lib64', '/etc/ld.so.cache', '/etc/alternatives'] as const

/**
 * The QEMU that VMs use: the one that EXEC_SANDBOX_QEMU names, else that of the image's runtime tree.
 * @throws DependencyError when it is not there
 */
export async function resolveProgram(env: NodeJS.ProcessEnv, runtime: string): Promise<QemuProgram> {
  const named = env['EXEC_SANDBOX_QEMU']
  if (named !== undefined && named !== '') return await namedProgram(named)
  const program: QemuProgram = { kind: 'tree', named: false, root: runtime, binary: TREE_BINARY }
  if (await isExecutable(join(program.root, program.binary))) return program
  throw new DependencyError(`The image's QEMU is missing: ${join(program.root, program.binary)}`, {
    dependency: 'qemu',
    fix: 'sbx image build',
  })
}

/** The file on the host that holds the program. */
export function programFile(program: QemuProgram): string {
  return program.kind === 'tree' ? join(program.root, program.binary) : program.binary
}

async function namedProgram(named: string): Promise<QemuProgram> {
  const refuse = (what: string): DependencyError =>
    new DependencyError(`EXEC_SANDBOX_QEMU names ${named}, which ${what}`, {
      dependency: 'qemu',
      fix: 'set EXEC_SANDBOX_QEMU to the full path of a qemu-system-x86_64 of at least version 8.2, or unset it',
    })
  if (!isAbsolute(named)) throw refuse('is not a full path')
  if (!(await isExecutable(named))) throw refuse('does not exist or is not executable')
  const tree = await enclosingTree(named)
  if (tree !== undefined) return { kind: 'tree', named: true, root: tree, binary: named.slice(tree.length) }
  const own = HOST_DIRECTORIES.some((directory) => named.startsWith(`${directory}/`)) ? [] : [prefixOf(named)]
  return { kind: 'host', named: true, binary: named, directories: [...HOST_DIRECTORIES, ...own] }
}

/** `/opt/qemu/bin/qemu-system-x86_64` was installed below `/opt/qemu`; a binary outside a `bin` is built in place. */
function prefixOf(binary: string): string {
  const directory = dirname(binary)
  return basename(directory) === 'bin' && dirname(directory) !== '/' ? dirname(directory) : directory
}

/** The root of an unpacked root file system that the binary belongs to, with libraries and loader of its own. */
async function enclosingTree(binary: string): Promise<string | undefined> {
  const suffix = `/usr/bin/${basename(binary)}`
  if (!binary.endsWith(suffix) || binary === suffix) return undefined
  const root = binary.slice(0, -suffix.length)
  return (await isExecutable(join(root, 'lib64/ld-linux-x86-64.so.2'))) ? root : undefined
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
