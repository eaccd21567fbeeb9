import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, withStep } from './build-context.ts'
import { contentKey } from './content-key.ts'
import { runMmdebstrap } from './mmdebstrap.ts'
import { guestDirectory, namesOf, readRuntimeRecipe } from './recipe.ts'
import { type BuiltComponent, type Component, provideComponent, withTemporaryDirectory } from './store.ts'

/** Raised when this file builds something else from the same inputs. */
const QEMU_BUILD_VERSION = '1'
/** The compiler's root and its downloads take about this share of the time on two processors; compiling takes the rest. */
const ROOT_PERCENT = 25

/**
 * QEMU compiled from Debian's source package with what our machine needs and nothing else: it starts in less than half of
 * the time of Debian's program and owns 5 MB less per VM (docs/decisions/0012-qemu-start.md). The program is
 * `qemu-system-x86_64`; its libraries are those of the runtime tree's packages.
 */
export async function provideQemu(context: BuildContext): Promise<Component> {
  return await withStep(context, 'qemu', async (progress) => {
    const { signal, paths, logger } = context
    const [recipe, script] = await Promise.all([
      readRuntimeRecipe(),
      readFile(join(guestDirectory, 'image', 'build-qemu.sh'), 'utf8'),
    ])
    const key = contentKey({
      suite: recipe.suite,
      compiler: JSON.stringify(recipe.compiler),
      script,
      build: QEMU_BUILD_VERSION,
      refresh: context.refresh,
    })
    const build = async (output: string): Promise<BuiltComponent> => {
      const root = await context.aptRoot()
      await withTemporaryDirectory(paths, 'qemu-root', async (temporaryDirectory) => {
        await runMmdebstrap({
          variant: 'minbase',
          packages: namesOf(recipe.compiler),
          hooks: [
            // Through the environment, as for the root file system: in a user namespace it may not read our files.
            'sh -c "$EXEC_SANDBOX_BUILD_QEMU" build-qemu "$1"',
            `download /build/qemu-system-x86_64 '${join(output, 'qemu-system-x86_64').replaceAll("'", `'\\''`)}'`,
          ],
          root,
          withSource: true,
          temporaryDirectory,
          env: { EXEC_SANDBOX_BUILD_QEMU: script },
          signal,
          onLine: (line) => {
            logger.debug('build of QEMU', { line })
            const percent = compiledPercent(line)
            if (percent === undefined) return
            progress({ percent: ROOT_PERCENT + (percent * (100 - ROOT_PERCENT)) / 100, detail: 'compiling QEMU' })
          },
        })
      })
      return { facts: {}, artifacts: { 'qemu-system-x86_64': 'file' } }
    }
    return await provideComponent(paths, { kind: 'qemu', key, build, signal, logger })
  })
}

/** How far ninja is by a line of its output, `[412/1287] Compiling …`; undefined for other lines. */
export function compiledPercent(line: string): number | undefined {
  const match = /^\[(\d+)\/(\d+)\] /.exec(line)
  if (match === null) return undefined
  const total = Number(match[2])
  return total === 0 ? undefined : Math.min(100, Math.floor((Number(match[1]) * 100) / total))
}
