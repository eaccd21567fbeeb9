// `npm run test:user`: the core of the suite as a normal user has it: no root, no groups, a home that nobody else may enter. Root becomes such a user
// for it, with a copy of the repository; a normal user is one already.
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT } from './bootstrap.mjs'

/** Somebody without a name, a group or a right. */
const UID = 61_235

/** What a user meets: each file uses VMs, and none needs more rights than its own. */
const CORE = [
  ...['commands', 'contexts', 'files', 'guest-facts', 'guest-hardening', 'jail', 'limits', 'network', 'pool', 'ports'],
  ...['repl', 'run', 'session', 'system-calls', 'taken-over-qemu', 'templates'],
].map((name) => `test/vm/${name}.test.ts`)

process.exitCode = process.getuid?.() === 0 ? asSomebody() : runCore(ROOT, [], process.env)

function runCore(root, before, env) {
  const chosen = process.argv.slice(2)
  const [file, ...args] = [...before, process.execPath, join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run']
  const { status } = spawnSync(file, [...args, ...(chosen.length === 0 ? CORE : chosen)], {
    cwd: root,
    env,
    stdio: 'inherit',
  })
  return status ?? 1
}

function asSomebody() {
  // Not in the temporary directory, which is often mounted noexec.
  const home = mkdtempSync('/var/tmp/exec-sandbox-user-')
  try {
    const root = join(home, 'repository')
    const tracked = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    for (const path of tracked.split('\0').filter((name) => name !== '')) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      cpSync(join(ROOT, path), join(root, path), { verbatimSymlinks: true })
    }
    for (const name of ['dist', 'node_modules']) execFileSync('cp', ['-a', join(ROOT, name), join(root, name)])
    const [image] = JSON.parse(
      execFileSync(process.execPath, [join(ROOT, 'dist/cli/main.js'), 'image', 'ls', '--json'], { encoding: 'utf8' }),
    )
    execFileSync('cp', ['-a', image.directory, join(home, 'image')])
    execFileSync('chown', ['-R', '--no-dereference', `${UID}:${UID}`, home])
    chownSync(home, UID, UID)
    chmodSync(home, 0o700)
    const env = {
      PATH: process.env.PATH,
      HOME: home,
      EXEC_SANDBOX_CACHE_DIR: join(home, 'cache'),
      EXEC_SANDBOX_IMAGE_DIR: join(home, 'image'),
    }
    return runCore(root, ['setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', '--'], env)
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}
