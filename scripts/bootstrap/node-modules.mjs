import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './child.mjs'
import { Failure } from './failure.mjs'

/**
 * Runs `npm ci` when node_modules is not what the lock file says.
 *
 * @param {string} root the repository
 * @returns {Promise<boolean>} whether it had to
 */
export async function ensureNodeModules(root) {
  if (nodeModulesMatch(root)) return false
  // `--include=dev`: the compiler is a development dependency, and a user may have set NODE_ENV=production.
  const { code } = await run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
  })
  if (code !== 0) throw new Failure('npm ci failed; its message stands above')
  return true
}

/** npm writes what it installed into node_modules/.package-lock.json: compare that with the lock file, package by package. */
export function nodeModulesMatch(root) {
  const wanted = packagesOf(join(root, 'package-lock.json'))
  const installed = packagesOf(join(root, 'node_modules', '.package-lock.json'))
  if (wanted === undefined || installed === undefined) return false
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue
    const found = installed[path]
    // Optional packages for other processors and systems are in the lock file only.
    if (found === undefined && entry.optional === true) continue
    if (found === undefined || found.version !== entry.version || found.integrity !== entry.integrity) return false
    if (!existsSync(join(root, path, 'package.json'))) return false
  }
  return Object.keys(installed).every((path) => wanted[path] !== undefined)
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages
  } catch {
    return undefined
  }
}
