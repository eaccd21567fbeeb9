import { existsSync, readdirSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { run } from './child.mjs'
import { Failure } from './failure.mjs'
import { dim, say } from './report.mjs'
import { atLeast, REQUIREMENTS, RUST_PACKAGES, RUST_VERSION } from './requirements.mjs'

/** Programs of the administrator are not on every user's path, and mkfs.erofs is one of them. */
const SEARCH_PATH = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin']

/** Where rustup puts cargo; a login shell has it on its path, a service or a cron job does not. */
const CARGO_BIN = join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'bin')

/** Installs the packages and does nothing else, so that root makes no other files in a user's clone. */
const PACKAGES_COMMAND = 'scripts/bootstrap.mjs --packages'

/** apt waits this many seconds for another apt (unattended upgrades of a fresh machine) before it gives up. */
const APT_LOCK_TIMEOUT_S = 300

/**
 * Finds the distribution packages that are missing and installs them: as root, or with a sudo that asks for no
 * password. Otherwise it stops and prints the one command to run.
 *
 * @param {{ lint: boolean }} options `lint`: also clippy and rustfmt, which the tests need.
 * @returns {Promise<boolean>} whether anything had to be installed
 */
export async function ensureSystemPackages({ lint }) {
  const missing = missingRequirements()
  const rust = await missingRust(lint)
  if (missing.length === 0 && !rust.build && !rust.lint) return false
  if (rust.lint && !rust.build && findCommand('rustup') !== undefined) {
    await must('rustup', ['component', 'add', 'clippy', 'rustfmt'], 'rustup could not add clippy and rustfmt')
    if (missing.length === 0) return true
    rust.lint = false
  }
  if (findCommand('apt-get') === undefined || findCommand('dpkg') === undefined) {
    throw new Failure(notDebian(missing, rust), 2)
  }
  await install(missing, rust)
  const still = missingRequirements().map((requirement) => requirement.package)
  if (still.length > 0) throw new Failure(`still missing after the installation: ${still.join(', ')}`)
  return true
}

function missingRequirements() {
  const root = process.getuid?.() === 0 && process.env.SUDO_UID === undefined
  return REQUIREMENTS.filter(
    (requirement) =>
      !(requirement.userOnly === true && root) &&
      !(requirement.commands ?? []).some((command) => findCommand(command) !== undefined) &&
      !(requirement.files ?? []).some((file) => existsSync(file)),
  )
}

async function missingRust(lint) {
  if (findCommand('cargo') === undefined && existsSync(join(CARGO_BIN, 'cargo'))) {
    process.env.PATH += delimiter + CARGO_BIN
  }
  const cargo = await versionOf('cargo', ['--version'])
  if (cargo === undefined || !atLeast(cargo, RUST_VERSION)) return { build: true, lint }
  if (!lint) return { build: false, lint: false }
  const [clippy, rustfmt] = await Promise.all([
    versionOf('cargo', ['clippy', '--version']),
    versionOf('rustfmt', ['--version']),
  ])
  return { build: false, lint: clippy === undefined || rustfmt === undefined }
}

async function versionOf(command, args) {
  const { code, stdout } = await run(command, args, { stdout: 'capture', stderr: 'drop' })
  return code === 0 ? parseVersion(stdout) : undefined
}

function parseVersion(text) {
  const match = /(\d+)\.(\d+)/.exec(text)
  return match === null ? undefined : [Number(match[1]), Number(match[2])]
}

/** The first regular file of this name on the search path. */
export function findCommand(name) {
  return SEARCH_PATH.map((directory) => join(directory, name)).find((path) => {
    const entry = statSync(path, { throwIfNoEntry: false })
    return entry?.isFile() === true && (entry.mode & 0o111) !== 0
  })
}

async function install(missing, rust) {
  const elevate = await elevation()
  let fresh = false
  if (listsAreEmpty()) {
    // Without lists nobody can tell yet which packages hold a Rust that is new enough.
    if (elevate === undefined) throw new Failure(askUser(missing, `sudo ${process.execPath} ${PACKAGES_COMMAND}`), 2)
    fresh = await update(elevate)
  }
  if ((rust.build || rust.lint) && !fresh && elevate !== undefined && (await rustPackages(rust)) === undefined) {
    fresh = await update(elevate)
  }
  const chosen = rust.build || rust.lint ? await rustPackages(rust) : []
  if (chosen === undefined) throw new Failure(noRust(), 2)
  const packages = [...missing.map((requirement) => requirement.package), ...chosen]
  const args = ['install', '--yes', '--no-install-recommends', '-o', `DPkg::Lock::Timeout=${APT_LOCK_TIMEOUT_S}`]
  if (elevate === undefined) {
    throw new Failure(askUser(missing, `sudo apt-get install --no-install-recommends ${packages.join(' ')}`), 2)
  }
  say('  installing:')
  for (const requirement of missing) say(dim(`  ${requirement.package}: ${requirement.reason}`))
  if (chosen.length > 0) say(dim(`  ${chosen.join(' ')}: the guest agent`))
  if ((await apt(elevate, [...args, ...packages])) === 0) return
  // Lists that are older than the mirror name files that are gone: one fresh look, then the failure is real.
  if (fresh || !(await update(elevate)) || (await apt(elevate, [...args, ...packages])) !== 0) {
    throw new Failure('apt-get install failed; its message stands above')
  }
}

async function update(elevate) {
  if ((await apt(elevate, ['update', '-o', `DPkg::Lock::Timeout=${APT_LOCK_TIMEOUT_S}`])) !== 0) {
    throw new Failure('apt-get update failed; its message stands above')
  }
  return true
}

/** The words to put before a command that needs root, or nothing when root is out of reach without a password. */
async function elevation() {
  if (process.getuid?.() === 0) return ['env', 'DEBIAN_FRONTEND=noninteractive']
  const { code } = await run('sudo', ['-n', 'true'], { stdout: 'capture', stderr: 'drop' })
  return code === 0 ? ['sudo', '-n', 'env', 'DEBIAN_FRONTEND=noninteractive'] : undefined
}

/** Hundreds of lines about unpacking help nobody: they are shown only when something went wrong. */
async function apt([command, ...rest], args) {
  const { code, stdout } = await run(command, [...rest, 'apt-get', '--quiet=2', ...args], { stdout: 'capture' })
  if (code !== 0) process.stderr.write(stdout)
  return code
}

function listsAreEmpty() {
  try {
    return !readdirSync('/var/lib/apt/lists').some((name) => name.includes('_Packages'))
  } catch {
    return true
  }
}

/** The packages of the first Rust that is new enough, or nothing when the package sources have none. */
async function rustPackages(rust) {
  for (const set of RUST_PACKAGES) {
    const { stdout } = await run('apt-cache', ['policy', set.compiler], {
      stdout: 'capture',
      env: { ...process.env, LC_ALL: 'C' },
    })
    const candidate = parseVersion(/Candidate: (?:\d+:)?(\S+)/.exec(stdout)?.[1] ?? '')
    if (candidate !== undefined && atLeast(candidate, RUST_VERSION)) {
      return [...set.build, ...(rust.lint ? set.lint : [])]
    }
  }
  return undefined
}

async function must(command, args, message) {
  if ((await run(command, args)).code !== 0) throw new Failure(message)
}

function askUser(missing, command) {
  const list = missing.map((requirement) => `  ${requirement.package}: ${requirement.reason}`).join('\n')
  return `packages are missing, and installing them needs root:\n${list}\n\nRun this, then try again:\n\n  ${command}\n`
}

function noRust() {
  return `the package sources have no Rust ${RUST_VERSION.join('.')} or newer; install one with rustup, then try again`
}

function notDebian(missing, rust) {
  const names = missing.map((requirement) => `  ${requirement.package}: ${requirement.reason}`)
  if (rust.build) names.push(`  cargo and rustc ${RUST_VERSION.join('.')} or newer: build the guest agent`)
  if (rust.lint) names.push('  clippy and rustfmt: check the guest agent')
  return [
    'this is not Debian or one of its relatives, so nothing can be installed automatically.',
    'Missing, by the names Debian gives them:',
    ...names,
  ].join('\n')
}
