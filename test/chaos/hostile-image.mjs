// @ts-check
// Images whose agent dies or hangs at a given moment: guest/hostile plays the agent, so that the host meets what it would meet.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, linkSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeCpio } from '../../dist/image/cpio.js'
import { layOut } from '../../dist/image/initramfs.js'

const SOURCE = fileURLToPath(new URL('../../guest/hostile/init.c', import.meta.url))

/** What the agent has done before, as steps of guest/hostile/README.md. */
const SAVED = 'hello;until exec;ok;until resume;ok;'
/** @type {Readonly<Record<string, string>>} */
const BEFORE = {
  boot: '',
  // The last that is asked of a VM before its state is written.
  save: SAVED,
  restore: `${SAVED}until resume;`,
  refill: `${SAVED}until resume;ok;until clock;ok;`,
  run: `${SAVED}until resume;ok;until run;`,
  transfer: `${SAVED}until resume;ok;until exec;`,
  close: `${SAVED}until resume;ok;until run;ok;`,
}

/** Phases of a VM that is resumed from a template of the same image. @param {string} phase */
export function needsTemplate(phase) {
  return phase !== 'boot' && phase !== 'save'
}

/**
 * Makes the image in `directory/image`, with all else as in `original`.
 * @param {string} fault `agent-dies` or `agent-hangs` @param {string} phase @param {string} original @param {string} directory
 */
export function makeHostileImage(fault, phase, original, directory) {
  const image = join(directory, 'image')
  mkdirSync(image)
  const manifest = JSON.parse(readFileSync(join(original, 'manifest.json'), 'utf8'))
  for (const name of [manifest.files.kernel.path, manifest.files.root.path]) share(join(original, name), join(image, name))
  cpSync(join(original, manifest.runtime.path), join(image, manifest.runtime.path), { recursive: true, verbatimSymlinks: true })
  const init = join(directory, 'init')
  if (!existsSync(init)) execFileSync('cc', ['-static', '-O2', '-Wall', '-Wextra', '-Werror', '-o', init, SOURCE])
  const script = `${BEFORE[phase]}${fault === 'agent-dies' ? 'panic' : 'silence'}`
  const initramfs = writeCpio(
    layOut([
      { path: 'init', mode: 0o755, content: readFileSync(init) },
      { path: 'script', mode: 0o644, content: Buffer.from(script) },
    ]),
  )
  const sha256 = createHash('sha256').update(initramfs).digest('hex')
  writeFileSync(join(image, manifest.files.initramfs.path), initramfs)
  const files = { ...manifest.files, initramfs: { ...manifest.files.initramfs, sha256, size: initramfs.length } }
  writeFileSync(join(image, 'manifest.json'), JSON.stringify({ ...manifest, id: sha256.slice(0, 20), files }))
  return image
}

/** @param {string} from @param {string} to */
function share(from, to) {
  try {
    linkSync(from, to)
  } catch {
    cpSync(from, to)
  }
}
