import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, withStep } from './build-context.ts'
import { contentKey } from './content-key.ts'
import { provideBun, provideUv, readFacts } from './downloads.ts'
import { runMmdebstrap, SOURCE_DATE_EPOCH } from './mmdebstrap.ts'
import { guestDirectory, namesOf, readPinnedVersions, readRootRecipe } from './recipe.ts'
import { type BuiltComponent, type Component, provideComponent, withTemporaryDirectory } from './store.ts'

/** Raised when this file builds something else from the same inputs. */
const ROOT_BUILD_VERSION = '1'
/** Options of mkfs.erofs; measured in docs/decisions/0004-image-from-debian.md. */
const EROFS_OPTIONS = '-zlz4hc,9 -C65536'
/** What mmdebstrap says as it goes on, and how far it then is. */
const PHASES: readonly { readonly pattern: RegExp; readonly percent: number; readonly detail: string }[] = [
  { pattern: /running apt-get update/, percent: 5, detail: 'fetching package lists' },
  { pattern: /downloading packages with apt/, percent: 15, detail: 'downloading packages' },
  { pattern: /extracting archives/, percent: 30, detail: 'unpacking' },
  { pattern: /installing essential packages/, percent: 40, detail: 'installing essential packages' },
  { pattern: /installing remaining packages/, percent: 50, detail: 'installing packages' },
  { pattern: /running --customize-hook/, percent: 75, detail: 'compiling Python files, pruning and compressing' },
]

/** The root file system: `root.erofs`, and beside it the headers for bash builtins of exactly its bash. */
export async function provideRootFileSystem(context: BuildContext): Promise<Component> {
  return await withStep(context, 'rootfs', async (progress) => {
    const { signal, paths, logger } = context
    const [recipe, pinned, script] = await Promise.all([
      readRootRecipe(),
      readPinnedVersions(),
      readFile(join(guestDirectory, 'image', 'customize-root.sh'), 'utf8'),
    ])
    const key = contentKey({
      recipe: JSON.stringify(recipe),
      pinned: JSON.stringify([pinned.bun.integrity, pinned.uv.sha256]),
      script,
      erofs: EROFS_OPTIONS,
      epoch: SOURCE_DATE_EPOCH,
      build: ROOT_BUILD_VERSION,
      refresh: context.refresh,
    })
    const build = async (output: string): Promise<BuiltComponent> => {
      progress({ detail: 'fetching Bun and uv' })
      const bun = await provideBun(context, pinned.bun)
      const uv = await provideUv(context, pinned.uv)
      const root = await context.aptRoot()
      await withTemporaryDirectory(paths, 'root', async (temporaryDirectory) => {
        await runMmdebstrap({
          variant: 'minbase',
          packages: namesOf(recipe.packages),
          exclude: namesOf(recipe.exclude),
          hooks: [
            upload(join(bun.directory, 'bun'), '/usr/local/bin/bun'),
            upload(join(uv.directory, 'uv'), '/usr/local/bin/uv'),
            // Through the environment: mmdebstrap prints its hooks, and in a user namespace it may not read our files.
            'sh -c "$EXEC_SANDBOX_CUSTOMIZE" customize "$1"',
            ...['root.erofs', 'packages', 'versions', 'bash-headers.tar'].map((name) =>
              download(`/.exec-sandbox/${name}`, join(output, name)),
            ),
          ],
          root,
          temporaryDirectory,
          env: {
            EXEC_SANDBOX_CUSTOMIZE: script,
            EXEC_SANDBOX_REMOVE: namesOf(recipe.remove).join(' '),
            EXEC_SANDBOX_EROFS: EROFS_OPTIONS,
          },
          signal,
          onLine: (line) => {
            logger.debug('mmdebstrap', { line })
            const phase = PHASES.find(({ pattern }) => pattern.test(line))
            if (phase !== undefined) progress({ percent: phase.percent, detail: phase.detail })
          },
        })
      })
      const facts = await readFacts(join(output, 'versions'))
      await writePackageList(output)
      return {
        facts: { ...facts, suite: recipe.suite },
        artifacts: { 'root.erofs': 'file', 'bash-headers.tar': 'file', 'packages.json': 'file' },
      }
    }
    return await provideComponent(paths, { kind: 'rootfs', key, build, signal, logger })
  })
}

async function writePackageList(output: string): Promise<void> {
  const facts = await readFacts(join(output, 'packages'))
  const packages = Object.entries(facts).map(([name, version]) => ({ name, version }))
  await writeFile(join(output, 'packages.json'), `${JSON.stringify(packages)}\n`)
}

function upload(from: string, to: string): string {
  return `upload ${quote(from)} ${to}`
}

function download(from: string, to: string): string {
  return `download ${from} ${quote(to)}`
}

// mmdebstrap splits these hooks into words as a shell does.
function quote(path: string): string {
  return `'${path.replaceAll("'", `'\\''`)}'`
}
