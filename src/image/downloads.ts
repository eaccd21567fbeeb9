import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { DependencyError } from '../base/index.ts'
import type { BuildContext } from './build-context.ts'
import { contentKey } from './content-key.ts'
import type { PinnedVersions } from './recipe.ts'
import { CommandError, runCommand } from './run-command.ts'
import { type BuiltComponent, type Component, provideComponent, withTemporaryDirectory } from './store.ts'
import { installHint } from './tools.ts'

const packedSchema = z.array(z.object({ filename: z.string(), integrity: z.string() })).length(1)

/** Bun's program, from its npm package, fetched with the user's own npm configuration and checked against our pin. */
export async function provideBun(context: BuildContext, pinned: PinnedVersions['bun']): Promise<Component> {
  const { signal, paths, logger } = context
  const key = contentKey({ package: pinned.package, version: pinned.version, integrity: pinned.integrity })
  const build = async (output: string): Promise<BuiltComponent> =>
    await withTemporaryDirectory(paths, 'npm', async (work) => {
      const args = ['pack', `${pinned.package}@${pinned.version}`, '--json', '--pack-destination', work]
      const { stdout } = await download('npm', args, 'Bun', 'npm', signal)
      const packed = packedSchema.parse(JSON.parse(stdout))[0]
      if (packed?.integrity !== pinned.integrity) throw wrongContent('Bun', 'npm registry')
      // npm names the file after the package; scoped names have had two spellings.
      const tarball = join(work, packed.filename.replace(/^@/, '').replaceAll('/', '-'))
      await runCommand('tar', { args: ['-xzf', tarball, '-C', work, '--no-same-owner', 'package/bin/bun'], signal })
      await rename(join(work, 'package', 'bin', 'bun'), join(output, 'bun'))
      return { facts: { bun: pinned.version }, artifacts: { bun: 'file' } }
    })
  return await provideComponent(paths, { kind: 'bun', key, build, signal, logger })
}

/** uv's program, from its wheel, fetched with the user's own pip configuration and checked against our pin. */
export async function provideUv(context: BuildContext, pinned: PinnedVersions['uv']): Promise<Component> {
  const { signal, paths, logger } = context
  const key = contentKey({ version: pinned.version, sha256: pinned.sha256 })
  const build = async (output: string): Promise<BuiltComponent> =>
    await withTemporaryDirectory(paths, 'pip', async (work) => {
      const python = await pythonWithPip(signal)
      const requirements = join(work, 'requirements.txt')
      await writeFile(requirements, `uv==${pinned.version} --hash=sha256:${pinned.sha256}\n`)
      const choice = ['--only-binary=:all:', '--platform', 'manylinux_2_17_x86_64', '--no-deps', '--require-hashes']
      const args = ['-m', 'pip', '--no-input', 'download', ...choice, '-r', requirements, '-d', work]
      await download(python, args, 'uv', 'pip', signal)
      const wheel = `uv-${pinned.version}-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl`
      await runCommand(python, { args: ['-I', '-m', 'zipfile', '-e', join(work, wheel), work], signal })
      await rename(join(work, `uv-${pinned.version}.data`, 'scripts', 'uv'), join(output, 'uv'))
      return { facts: { uv: pinned.version }, artifacts: { uv: 'file' } }
    })
  return await provideComponent(paths, { kind: 'uv', key, build, signal, logger })
}

/** The first Python of the machine that has pip: the one in front in PATH may be a bare one. */
async function pythonWithPip(signal: AbortSignal): Promise<string> {
  for (const python of ['python3', '/usr/bin/python3']) {
    try {
      await runCommand(python, { args: ['-m', 'pip', '--version'], signal })
      return python
    } catch (error) {
      if (!(error instanceof CommandError || error instanceof DependencyError)) throw error
    }
  }
  const fix = installHint(['python3', 'pip'])
  throw new DependencyError(`pip is needed to fetch uv and is not installed. Run: ${fix}`, { dependency: 'pip', fix })
}

async function download(command: string, args: readonly string[], what: string, tool: string, signal: AbortSignal) {
  try {
    return await runCommand(command, { args, signal, timeoutMs: DOWNLOAD_TIMEOUT_MS })
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    const fix = `check the network connection and ${tool}'s configuration (registry, proxy, certificates), then run again: sbx image build`
    throw new DependencyError(
      `${what} could not be fetched with ${tool}; to mend it, ${fix}.\n${error.output}`,
      { dependency: what, fix },
      error,
    )
  }
}

/** 50 MB over a slow line take some minutes; a stuck proxy must not hold a build for an hour. */
const DOWNLOAD_TIMEOUT_MS = 900_000

function wrongContent(what: string, source: string): DependencyError {
  const fix = `find out why the configured ${source} serves another file, or use another one`
  return new DependencyError(
    `${what} from the ${source} does not have the content that guest/image/versions.json pins: ${fix}`,
    {
      dependency: what,
      fix,
    },
  )
}

/** Reads a `name value` per line file that the build in the root has written. */
export async function readFacts(path: string): Promise<Record<string, string>> {
  const facts: Record<string, string> = {}
  for (const line of (await readFile(path, 'utf8')).split('\n')) {
    const at = line.indexOf(' ')
    if (at > 0) facts[line.slice(0, at)] = line.slice(at + 1).trim()
  }
  return facts
}
