import { appendFile, copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { DependencyError } from '../base/index.ts'
import { candidateVersion, downloadPackage } from './apt.ts'
import { type BuildContext, withStep } from './build-context.ts'
import { contentKey } from './content-key.ts'
import { hasPvhEntryNote } from './elf-notes.ts'
import { findConfigMisses, parseFragment } from './kernel-config.ts'
import { placeRelocations } from './kernel-relocations.ts'
import { guestDirectory } from './recipe.ts'
import { CommandError, commandEnvironment, runCommand } from './run-command.ts'
import { type BuiltComponent, type Component, provideComponent, withTemporaryDirectory } from './store.ts'

const SOURCE_PACKAGE = 'linux-source-6.12'
/** Sources of our own, in guest/image, and where in the kernel's tree they go. */
const ADDED_SOURCES = [
  // The kernel parameter by which clocks under emulation need no guessing.
  { name: 'qemu-clocks.c', directory: 'arch/x86/kernel' },
  // The kernel moves itself to a random address.
  { name: 'pvh-kaslr.c', directory: 'arch/x86/platform/pvh' },
] as const
/** The one line of the kernel's source that is changed: the last step of the PVH entry calls ours before it. */
const PVH_ENTRY = {
  file: 'arch/x86/platform/pvh/head.S',
  line: '\tlea pvh_bootparams(%rip), %rsi\n',
  before: '\tcall pvh_randomize_base\n',
} as const
/** What the kernel's own build makes of CONFIG_RELOCATABLE. */
const RELOCATIONS = 'arch/x86/boot/compressed/vmlinux.relocs'
/** Raised when this file builds something else from the same inputs. */
const KERNEL_BUILD_VERSION = '2'
/** Object files of a build of this fragment, about; only a scale for the progress. */
const EXPECTED_OBJECTS = 1_050
/** Reproducible: the kernel would otherwise carry the time, user and host of its build. */
const REPRODUCIBLE = {
  KBUILD_BUILD_TIMESTAMP: '1970-01-01',
  KBUILD_BUILD_USER: 'exec-sandbox',
  KBUILD_BUILD_HOST: 'exec-sandbox',
  KBUILD_BUILD_VERSION: '1',
}

interface KernelSource {
  readonly version: string
  /** Options of the apt root that has it; empty for the machine's own package sources. */
  readonly aptOptions: readonly string[]
  /** Already on this machine. */
  readonly tarball: string | undefined
}

/** The guest kernel: `vmlinux`, built from the distribution's source package with our fragment. */
export async function provideKernel(context: BuildContext): Promise<Component> {
  return await withStep(context, 'kernel', async (progress) => {
    const { signal, paths, logger } = context
    const fragment = await readFile(join(guestDirectory, 'image', 'kernel.config'), 'utf8')
    const additions = await readAdditions()
    const source = await findSource(context)
    const compiler = await compilerVersion(signal)
    const addition = JSON.stringify(additions)
    const key = contentKey({ source: source.version, fragment, addition, compiler, build: KERNEL_BUILD_VERSION })
    const build = async (output: string): Promise<BuiltComponent> =>
      await withTemporaryDirectory(paths, 'kernel-source', async (work) => {
        progress({ detail: `unpacking ${SOURCE_PACKAGE} ${source.version}` })
        const tree = await unpackSource(source, work, signal)
        await addSources(tree, additions)
        await configure(tree, fragment, signal)
        await compile(tree, signal, (objects) => {
          const percent = Math.min(99, Math.floor((100 * objects) / EXPECTED_OBJECTS))
          progress({ percent, detail: `${objects} files compiled` })
        })
        await finish(tree, output, signal)
        const release = (await make(tree, ['-s', 'kernelrelease'], signal)).stdout.trim()
        return { facts: { kernel: release, source: source.version, compiler }, artifacts: { vmlinux: 'file' } }
      })
    return await provideComponent(paths, { kind: 'kernel', key, build, signal, logger })
  })
}

/** The newest of what the machine's package sources offer, what is installed, and what the exchanged suite offers. */
async function findSource(context: BuildContext): Promise<KernelSource> {
  const { signal } = context
  const installed = await installedSource(signal)
  const candidate = await candidateVersion(SOURCE_PACKAGE, [], signal)
  if (installed !== undefined && (candidate === undefined || candidate === installed.version)) return installed
  if (candidate !== undefined) return { version: candidate, aptOptions: [], tarball: undefined }
  const root = await context.aptRoot()
  const exchanged = await candidateVersion(SOURCE_PACKAGE, root.options, signal)
  if (exchanged !== undefined) return { version: exchanged, aptOptions: root.options, tarball: undefined }
  const fix = 'set EXEC_SANDBOX_DEBIAN_MIRROR to the URL of a complete Debian mirror'
  throw new DependencyError(
    `No package source of this machine has ${SOURCE_PACKAGE}, of which the kernel is made: ${fix}`,
    {
      dependency: SOURCE_PACKAGE,
      fix,
    },
  )
}

async function installedSource(signal: AbortSignal): Promise<KernelSource | undefined> {
  const tarball = `/usr/src/${SOURCE_PACKAGE}.tar.xz`
  try {
    const args = ['-W', '-f', '${db:Status-Status} ${Version}', SOURCE_PACKAGE]
    const { stdout } = await runCommand('dpkg-query', { args, signal })
    const [status, version] = stdout.trim().split(' ')
    return status === 'installed' && version !== undefined ? { version, aptOptions: [], tarball } : undefined
  } catch (error) {
    if (error instanceof CommandError) return undefined
    throw error
  }
}

async function unpackSource(source: KernelSource, work: string, signal: AbortSignal): Promise<string> {
  let tarball = source.tarball
  if (tarball === undefined) {
    const directory = join(work, 'package')
    const name = `${SOURCE_PACKAGE}=${source.version}`
    const file = await downloadPackage(name, { directory, aptOptions: source.aptOptions, signal })
    await runCommand('dpkg-deb', { args: ['-x', file, directory], signal })
    tarball = join(directory, 'usr', 'src', `${SOURCE_PACKAGE}.tar.xz`)
  }
  const target = join(work, 'tree')
  await mkdir(target)
  // Documentation, tests and the code of other processors are a third of the files and none of the build.
  const exclude = ['Documentation', 'tools/testing', 'sound', 'drivers/gpu', 'drivers/media'].map(
    (path) => `--exclude=*/${path}/*.[ch]`,
  )
  await runCommand('tar', { args: ['-xf', tarball, '-C', target, '--no-same-owner', ...exclude], signal })
  const [name] = await readdir(target)
  if (name === undefined) throw new Error(`${tarball} holds no kernel source`)
  return join(target, name)
}

interface Addition {
  readonly name: string
  readonly directory: string
  readonly text: string
}

async function readAdditions(): Promise<Addition[]> {
  return await Promise.all(
    ADDED_SOURCES.map(async ({ name, directory }) => {
      return { name, directory, text: await readFile(join(guestDirectory, 'image', name), 'utf8') }
    }),
  )
}

/** Source files of our own beside the kernel's: unlike a patch they do not depend on the text around them. */
async function addSources(tree: string, additions: readonly Addition[]): Promise<void> {
  for (const { name, directory, text } of additions) {
    await writeFile(join(tree, directory, name), text)
    await appendFile(join(tree, directory, 'Makefile'), `\nobj-y += ${name.replace(/c$/, 'o')}\n`)
  }
  const { file, line, before } = PVH_ENTRY
  const parts = (await readFile(join(tree, file), 'utf8')).split(line)
  if (parts.length !== 2) {
    const fix = 'see how the PVH entry of this kernel ends, and mend PVH_ENTRY in src/image/kernel.ts'
    throw new DependencyError(
      `${file} of the kernel's source has changed, so its address could not be random: ${fix}`,
      {
        dependency: 'kernel source',
        fix,
      },
    )
  }
  await writeFile(join(tree, file), parts.join(before + line))
}

async function configure(tree: string, fragment: string, signal: AbortSignal): Promise<void> {
  const fragmentFile = join(tree, 'exec-sandbox.config')
  await writeFile(fragmentFile, fragment)
  await make(tree, [`KCONFIG_ALLCONFIG=${fragmentFile}`, 'allnoconfig'], signal)
  await make(tree, ['olddefconfig'], signal)
  const misses = findConfigMisses(parseFragment(fragment), await readFile(join(tree, '.config'), 'utf8'))
  if (misses.length === 0) return
  const list = misses.map((miss) => `  line ${miss.line}: ${miss.symbol} should be ${miss.value}, is ${miss.found}`)
  const fix =
    'mend guest/image/kernel.config: a dependency of each of these options is missing, or the kernel renamed it'
  throw new DependencyError(
    `The kernel's configuration does not hold ${misses.length} line(s) of the fragment:\n${list.join('\n')}\nTo mend it: ${fix}`,
    { dependency: 'kernel configuration', fix },
  )
}

async function compile(tree: string, signal: AbortSignal, onObjects: (count: number) => void): Promise<void> {
  let objects = 0
  const onLine = (line: string): void => {
    if (!/^ {2}(?:CC|AS|AR) /.test(line)) return
    objects += 1
    if (objects % 25 === 0) onObjects(objects)
  }
  await make(tree, [`-j${availableParallelism()}`, 'vmlinux'], signal, onLine)
}

async function finish(tree: string, output: string, signal: AbortSignal): Promise<void> {
  const vmlinux = join(output, 'vmlinux')
  await copyFile(join(tree, '.config'), join(output, 'config'))
  // Symbols are of no use in the guest and would be read at every boot.
  await runCommand('strip', { args: ['--strip-all', '-o', vmlinux, join(tree, 'vmlinux')], signal })
  const kernel = await readFile(vmlinux)
  placeRelocations(kernel, await readFile(join(tree, RELOCATIONS)))
  await writeFile(vmlinux, kernel)
  if (hasPvhEntryNote(kernel)) return
  const fix = 'keep CONFIG_PVH=y in guest/image/kernel.config'
  throw new DependencyError(`The kernel that was built has no PVH entry, so QEMU could not start it: ${fix}`, {
    dependency: 'kernel configuration',
    fix,
  })
}

async function make(tree: string, args: readonly string[], signal: AbortSignal, onLine?: (line: string) => void) {
  const env = commandEnvironment({ ...REPRODUCIBLE, ARCH: 'x86_64' })
  return await runCommand('make', { args, cwd: tree, env, signal, onLine })
}

async function compilerVersion(signal: AbortSignal): Promise<string> {
  const [compiler, linker] = await Promise.all(
    ['gcc', 'ld'].map(async (tool) => (await runCommand(tool, { args: ['--version'], signal })).stdout.split('\n')[0]),
  )
  return `${compiler ?? ''}; ${linker ?? ''}`
}
