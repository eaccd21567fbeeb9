import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DependencyError } from '../base/index.ts'
import { type BuiltAgent, buildAgent } from './agent.ts'
import { compileBashBuiltin } from './bash-builtin.ts'
import { type BuildContext, withStep } from './build-context.ts'
import { contentKey, digestTree } from './content-key.ts'
import { type CpioEntry, writeCpio } from './cpio.ts'
import { guestDirectory } from './recipe.ts'
import { type ReplManifest, readReplManifest } from './repl-manifest.ts'
import { runCommand } from './run-command.ts'
import { type BuiltComponent, type Component, provideComponent, withTemporaryDirectory } from './store.ts'
import { findTool } from './tools.ts'

/** Raised when this file builds something else from the same inputs. */
const INITRAMFS_BUILD_VERSION = '2'
/** Major and minor number of /dev/console (Documentation/admin-guide/devices.txt): the kernel opens it for PID 1. */
const CONSOLE_DEVICE = { major: 5, minor: 1 }

/** The initramfs: the static agent as /init, the REPL programs below /repl, the file tool below /tools. */
export async function provideInitramfs(context: BuildContext, rootFileSystem: Component): Promise<Component> {
  return await withStep(context, 'initramfs', async (progress) => {
    const { signal, paths, logger } = context
    const manifest = await readReplManifest()
    const cargo = (await findTool('cargo', context.env)) ?? 'cargo'
    const sources = await digestSources(signal)
    const key = contentKey({
      sources,
      bash: rootFileSystem.artifacts['bash-headers.tar']?.digest ?? '',
      rust: (await runCommand(cargo, { args: ['--version'], signal })).stdout,
      compiler: (await runCommand('cc', { args: ['--version'], signal })).stdout,
      build: INITRAMFS_BUILD_VERSION,
    })
    const build = async (output: string): Promise<BuiltComponent> =>
      await withTemporaryDirectory(paths, 'initramfs-work', async (work) => {
        progress({ detail: 'compiling the agent' })
        const agent = await buildAgent({
          cargo,
          targetDirectory: join(paths.build, 'agent-target'),
          signal,
          onLine: (line) => progress({ detail: line.trim().slice(0, 80) }),
        })
        const headers = join(rootFileSystem.directory, 'bash-headers.tar')
        const entries = await collectEntries({ agent, manifest, headers, work, signal })
        if ((await digestSources(signal)) !== sources) throw changedMeanwhile()
        await writeFile(join(output, 'initramfs.cpio'), writeCpio(entries))
        return { facts: { agent: agent.version }, artifacts: { 'initramfs.cpio': 'file' } }
      })
    return await provideComponent(paths, { kind: 'initramfs', key, build, signal, logger })
  })
}

/** What decides over the agent and the REPLs: their sources without what compilers leave and without tests. */
async function digestSources(signal: AbortSignal): Promise<string> {
  const skip = (path: string): boolean => /(?:^|\/)(?:target|tests?|fuzz|examples|__pycache__|node_modules)$/.test(path)
  const trees = ['agent', 'wire', 'repl'].map(
    async (name) => await digestTree(join(guestDirectory, name), { signal, skip }),
  )
  return (await Promise.all(trees)).map(({ digest }) => digest).join(' ')
}

// Only whoever works on the guest meets this: the key must stand for what was compiled.
function changedMeanwhile(): DependencyError {
  const fix = 'sbx image build'
  return new DependencyError(`Sources of the guest changed while they were compiled. Run again: ${fix}`, {
    dependency: 'guest sources',
    fix,
  })
}

interface Contents {
  readonly agent: BuiltAgent
  readonly manifest: ReplManifest
  readonly headers: string
  readonly work: string
  readonly signal: AbortSignal
}

async function collectEntries(contents: Contents): Promise<CpioEntry[]> {
  const { manifest, headers, work, signal } = contents
  const files: { path: string; mode: number; content: Uint8Array }[] = [
    { path: 'init', mode: 0o755, content: await readFile(contents.agent.agent) },
    // Executed and never read by the user it runs as: so no process of that user can look into it.
    { path: 'tools/files', mode: 0o111, content: await readFile(contents.agent.files) },
  ]
  for (const file of manifest.files) {
    const content = await readFile(join(guestDirectory, 'repl', file.source))
    files.push({ path: `repl/${file.target}`, mode: file.mode, content })
  }
  for (const program of manifest.cPrograms) {
    const source = join(guestDirectory, 'repl', program.source)
    const object = join(work, 'compiled', program.target)
    await mkdir(dirname(object), { recursive: true })
    await compileBashBuiltin({ source, object, flags: program.flags, headers, work, signal })
    files.push({ path: `repl/${program.target}`, mode: program.mode, content: await readFile(object) })
  }
  return [...layOut(files)]
}

/** Directories before what is in them, everything in a fixed order. */
export function layOut(files: readonly { path: string; mode: number; content: Uint8Array }[]): CpioEntry[] {
  const directories = new Set(['dev'])
  for (const { path } of files) {
    const parts = path.split('/')
    for (let depth = 1; depth < parts.length; depth += 1) directories.add(parts.slice(0, depth).join('/'))
  }
  return [
    ...[...directories].toSorted().map((path): CpioEntry => ({ type: 'directory', path, mode: 0o755 })),
    { type: 'character-device', path: 'dev/console', mode: 0o600, ...CONSOLE_DEVICE },
    ...files
      .toSorted((left, right) => (left.path < right.path ? -1 : 1))
      .map(({ path, mode, content }): CpioEntry => ({ type: 'file', path, mode, content })),
  ]
}
