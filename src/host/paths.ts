import { homedir, tmpdir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'

/**
 * Where everything the product keeps on the host stands. This module is the only place that knows file names
 * of the on-disk layout; `docs/on-disk-layout.md` is written from it.
 */
export interface HostPaths {
  /** Survives restarts; may be deleted at any time while nothing runs. */
  readonly cacheDir: string
  /** Locks and other state of running processes. Gone after a restart of the host, or harmless. */
  readonly runtimeDir: string
  /** Images by id, and `current`. */
  readonly images: string
  /** The name of the image in use: a file in `images` that holds an id. */
  readonly currentImage: string
  /** Components of images by kind and content key. */
  readonly build: string
  /** What the accelerator probe found, one file per (boot of the host, QEMU, kernel). */
  readonly verdicts: string
  /** Lock files. They are never deleted: deleting a lock file lets two processes hold "the" lock. */
  readonly locks: string
}

export interface PathOverrides {
  /** @default $EXEC_SANDBOX_CACHE_DIR, else $XDG_CACHE_HOME/exec-sandbox, else ~/.cache/exec-sandbox */
  readonly cacheDir?: string | undefined
  /** @default /run/exec-sandbox for root, else $XDG_RUNTIME_DIR/exec-sandbox, else a directory of this user in the temporary directory */
  readonly runtimeDir?: string | undefined
}

const PRODUCT = 'exec-sandbox'

/**
 * Resolves every directory once, from options first and the environment second. Touches no disk: each
 * directory is made by the part that writes into it.
 */
export function resolvePaths(env: NodeJS.ProcessEnv, overrides: PathOverrides = {}): HostPaths {
  const cacheDir = resolve(overrides.cacheDir ?? cacheDirFrom(env))
  const images = join(cacheDir, 'images')
  return Object.freeze({
    cacheDir,
    runtimeDir: resolve(overrides.runtimeDir ?? runtimeDirFrom(env)),
    images,
    currentImage: join(images, 'current'),
    build: join(cacheDir, 'build'),
    verdicts: join(cacheDir, 'verdicts'),
    locks: join(cacheDir, 'locks'),
  })
}

/** The accelerator probe's verdict file; `key` is a hex digest. */
export function verdictFile(paths: HostPaths, key: string): string {
  return join(paths.verdicts, `accelerator-${key}.json`)
}

/** What a QEMU binary said about itself; `key` is a hex digest that stands for the binary. */
export function qemuFeaturesFile(paths: HostPaths, key: string): string {
  return join(paths.verdicts, `qemu-${key}.json`)
}

/** A lock file among all processes that share the cache. */
export function lockFile(paths: HostPaths, name: string): string {
  return join(paths.locks, `${name}.lock`)
}

/** The lock file of one uid of the range that jails of root use; held while a VM runs under that uid. */
export function uidLockFile(paths: Pick<HostPaths, 'runtimeDir'>, uid: number): string {
  return join(paths.runtimeDir, 'uids', `${uid}.lock`)
}

function cacheDirFrom(env: NodeJS.ProcessEnv): string {
  const own = env['EXEC_SANDBOX_CACHE_DIR']
  if (own !== undefined && own !== '') return own
  const xdg = absoluteOrNothing(env['XDG_CACHE_HOME'])
  return xdg === undefined ? join(absoluteOrNothing(env['HOME']) ?? homedir(), '.cache', PRODUCT) : join(xdg, PRODUCT)
}

function runtimeDirFrom(env: NodeJS.ProcessEnv): string {
  const uid = process.getuid?.()
  if (uid === 0) return join('/run', PRODUCT)
  const xdg = absoluteOrNothing(env['XDG_RUNTIME_DIR'])
  return xdg === undefined ? join(tmpdir(), `${PRODUCT}-${uid ?? 'user'}`) : join(xdg, PRODUCT)
}

// The XDG base directory specification: a relative path there is invalid and is to be ignored.
function absoluteOrNothing(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined
}
