import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { endChildrenOnInterrupt, run } from './bootstrap/child.mjs'
import { Failure } from './bootstrap/failure.mjs'
import { ensureNodeModules } from './bootstrap/node-modules.mjs'
import { bold, dim, duration, green, red, say } from './bootstrap/report.mjs'
import { atLeast, NODE_VERSION } from './bootstrap/requirements.mjs'
import { ensureSystemPackages } from './bootstrap/system-packages.mjs'

/** The repository this script belongs to. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The command line of the built product. */
export const CLI = join(ROOT, 'dist', 'cli', 'main.js')

/** Installs the distribution's packages that are missing, all of them. */
async function installPackages() {
  await step('system packages', () => ensureSystemPackages({ lint: true }))
}

/**
 * Brings a fresh clone to the point where the product runs: distribution packages, npm packages, the compiled
 * product, the image. Each step looks first and works only when something is missing, so a second call costs
 * next to nothing.
 *
 * @param {{ lint?: boolean, image?: boolean }} [options] `lint`: also what checks the Rust code; `image`: build the image, default true
 */
export async function bootstrap({ lint = false, image = true } = {}) {
  const node = process.versions.node.split('.').map(Number)
  if (!atLeast(node, NODE_VERSION)) {
    throw new Failure(`Node ${NODE_VERSION.join('.')} or newer is needed; this is ${process.versions.node}`, 2)
  }
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Failure(`exec-sandbox runs on Linux on x86-64; this is ${process.platform} on ${process.arch}`, 2)
  }
  await step('system packages', () => ensureSystemPackages({ lint }))
  await step('npm packages', () => ensureNodeModules(ROOT))
  await step('compile', compile)
  if (image) await step('image', buildImage)
}

async function step(name, work) {
  const started = performance.now()
  const changed = await work()
  const took = duration(performance.now() - started)
  say(`${green('✓')} ${name} ${dim(changed === false ? `(nothing to do, ${took})` : `(${took})`)}`)
}

async function compile() {
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const { code } = await run(process.execPath, [compiler, '-b'], { cwd: ROOT })
  if (code !== 0) throw new Failure('the TypeScript sources do not compile; the messages stand above')
  if (!existsSync(CLI)) throw new Failure(`the compiler left no ${CLI}`)
}

/** The command decides by content whether there is anything to build, and shows its own progress. */
async function buildImage() {
  const { code } = await run(process.execPath, [CLI, 'image', 'build'], { cwd: ROOT })
  if (code !== 0) throw new Failure('the image could not be built; the message stands above', code === 2 ? 2 : 1)
}

/** Runs the main function of a script: one line for a failure, its exit code, and no child left behind. */
export async function main(work) {
  endChildrenOnInterrupt()
  try {
    process.exitCode = await work()
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    process.stderr.write(`${red('✗')} ${error.message}\n`)
    process.exitCode = error.exitCode
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => {
    say(bold('exec-sandbox: setting up'))
    await (process.argv.includes('--packages') ? installPackages() : bootstrap({ lint: true }))
    return 0
  })
}
