import { chmod, copyFile, lstat, mkdir, readlink, realpath, symlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { errnoOf } from '../base/index.ts'
import { type BuildContext, withStep } from './build-context.ts'
import { contentKey } from './content-key.ts'
import { runMmdebstrap } from './mmdebstrap.ts'
import { namesOf, type RuntimeRecipe, readRuntimeRecipe } from './recipe.ts'
import { runCommand } from './run-command.ts'
import { type BuiltComponent, type Component, provideComponent, withTemporaryDirectory } from './store.ts'

/** Raised when this file builds something else from the same inputs. */
const RUNTIME_BUILD_VERSION = '2'
/** A merged-/usr system: programs name their loader as /lib64/ld-linux-x86-64.so.2. */
const TOP_LINKS = { bin: 'usr/bin', sbin: 'usr/sbin', lib: 'usr/lib', lib64: 'usr/lib64' } as const
const LOADER = 'usr/lib64/ld-linux-x86-64.so.2'
const QEMU = 'usr/bin/qemu-system-x86_64'
const LIBRARY_DIRECTORY = 'usr/lib/x86_64-linux-gnu'

/**
 * The runtime tree: QEMU with the libraries and firmware it loads, as a directory `tree` that is the whole root file
 * system of the jail.
 * @param qemu the program compiled for it (`provideQemu`)
 */
export async function provideRuntimeTree(context: BuildContext, qemu: Component): Promise<Component> {
  return await withStep(context, 'runtime', async (progress) => {
    const { signal, paths, logger } = context
    const recipe = await readRuntimeRecipe()
    const key = contentKey({
      recipe: JSON.stringify(recipe),
      qemu: qemu.key,
      build: RUNTIME_BUILD_VERSION,
      refresh: context.refresh,
    })
    const build = async (output: string): Promise<BuiltComponent> =>
      await withTemporaryDirectory(paths, 'runtime-packages', async (work) => {
        progress({ percent: 5, detail: 'downloading QEMU' })
        const full = await extractPackages(context, recipe, work)
        progress({ percent: 70, detail: 'taking what QEMU loads' })
        await copyFile(join(qemu.directory, 'qemu-system-x86_64'), join(full, QEMU))
        await chmod(join(full, QEMU), 0o755)
        const tree = join(output, 'tree')
        await layOut(tree, recipe)
        const closure = new Set([LOADER, ...namesOf(recipe.files).map(relativeName)])
        for (const program of namesOf(recipe.programs).map(relativeName)) {
          closure.add(program)
          for (const library of await librariesOf(full, program, signal)) closure.add(library)
        }
        for (const path of closure) await copyInto(tree, full, path)
        return { facts: await askVersions(tree, signal), artifacts: { tree: 'tree' } }
      })
    return await provideComponent(paths, { kind: 'runtime', key, build, signal, logger })
  })
}

async function extractPackages(context: BuildContext, recipe: RuntimeRecipe, work: string): Promise<string> {
  const { signal } = context
  const tarFile = join(work, 'packages.tar')
  await runMmdebstrap({
    variant: 'extract',
    packages: namesOf(recipe.packages),
    tarFile,
    root: await context.aptRoot(),
    temporaryDirectory: work,
    signal,
  })
  const full = join(work, 'full')
  await mkdir(full)
  // Device nodes need root and the jail has its own; owners do not matter.
  const args = ['-xf', tarFile, '-C', full, '--no-same-owner', '--no-same-permissions', '--exclude=./dev/*']
  await runCommand('tar', { args, signal })
  return full
}

async function layOut(tree: string, recipe: RuntimeRecipe): Promise<void> {
  await mkdir(tree)
  for (const directory of namesOf(recipe.directories)) await mkdir(join(tree, directory), { recursive: true })
  for (const [name, target] of Object.entries(TOP_LINKS)) {
    await mkdir(join(tree, target), { recursive: true })
    await symlink(target, join(tree, name))
  }
}

/** Libraries that a program of the tree loads at its start, as the tree's own loader finds them. */
async function librariesOf(full: string, program: string, signal: AbortSignal): Promise<string[]> {
  const args = ['--inhibit-cache', '--library-path', join(full, LIBRARY_DIRECTORY), '--list', join(full, program)]
  const { stdout } = await runCommand(join(full, LOADER), { args, signal })
  const libraries = parseLoaderList(stdout)
  const missing = libraries.filter((path) => path === undefined)
  if (missing.length > 0) throw new Error(`the packages of the runtime tree lack a library of ${program}:\n${stdout}`)
  const inside = libraries.flatMap((path) => (path === undefined ? [] : [path]))
  // By its real place: the loader names what it found through /lib or a symlink, too.
  return await Promise.all(
    inside.map(async (path) => {
      const name = relative(full, join(await realpath(dirname(path)), path.slice(dirname(path).length + 1)))
      if (name.startsWith('..')) throw new Error(`${program} would load ${path} from outside of the runtime tree`)
      return name
    }),
  )
}

/** Paths in the output of `ld.so --list`; undefined for a library that was not found. Without the loader and the vDSO. */
export function parseLoaderList(output: string): (string | undefined)[] {
  return output.split('\n').flatMap((line) => {
    const match = /^\s+\S+ => (?:(\/.*) \(0x[0-9a-f]+\)|not found)$/.exec(line)
    return match === null ? [] : [match[1]]
  })
}

/** Copies a file, and if it is a symbolic link the file it leads to as well, readable for every uid. */
async function copyInto(tree: string, full: string, path: string): Promise<void> {
  const from = join(full, path)
  const to = join(tree, path)
  await mkdir(dirname(to), { recursive: true })
  const status = await lstat(from)
  if (status.isSymbolicLink()) {
    const target = await readlink(from)
    const next = target.startsWith('/') ? relativeName(target) : relative(full, join(dirname(from), target))
    await copyInto(tree, full, next)
    await symlink(relative(dirname(to), join(tree, next)), to).catch(ignoreExisting)
    return
  }
  await copyFile(from, to)
  await chmod(to, (status.mode & 0o111) === 0 ? 0o644 : 0o755)
}

async function askVersions(tree: string, signal: AbortSignal): Promise<Record<string, string>> {
  const args = ['--inhibit-cache', '--library-path', join(tree, LIBRARY_DIRECTORY)]
  const program = join(tree, QEMU)
  // Run from the pruned tree: a library that was forgotten fails here.
  const { stdout } = await runCommand(join(tree, LOADER), { args: [...args, program, '--version'], signal })
  const match = /version (\S+)(?: \(Debian (\S+)\))?/.exec(stdout)
  return { qemu: match?.[1] ?? 'unknown', qemuPackage: match?.[2] ?? 'unknown' }
}

function relativeName(path: string): string {
  return path.replace(/^\/+/, '').replace(/^(bin|sbin|lib|lib64)\//, 'usr/$1/')
}

function ignoreExisting(error: unknown): void {
  if (errnoOf(error) !== 'EEXIST') throw error
}
