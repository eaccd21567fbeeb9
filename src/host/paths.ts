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
  /** Saved memory of VMs by template key, and the work of builders. Nobody else may list it. */
  readonly templates: string
  /** Read-only disks with installed packages by layer key, and the work of builders. Nobody else may list it. */
  readonly layers: string
  /** Packed layers while they are uploaded, without names. */
  readonly uploads: string
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
    templates: join(cacheDir, 'templates'),
    layers: join(cacheDir, 'layers'),
    uploads: join(cacheDir, 'uploads'),
    verdicts: join(cacheDir, 'verdicts'),
    locks: join(cacheDir, 'locks'),
  })
}

/** The accelerator probe's verdict file; `key` is a hex digest. */
export function verdictFile(paths: HostPaths, key: string): string {
  return join(paths.verdicts, `accelerator-${key}.json`)
}

/** That bubblewrap made a jail under the conditions that `key`, a hex digest, stands for. */
export function jailVerdictFile(paths: HostPaths, key: string): string {
  return join(paths.verdicts, `jail-${key}.json`)
}

/** What a QEMU binary said about itself; `key` is a hex digest that stands for the binary. */
export function qemuFeaturesFile(paths: HostPaths, key: string): string {
  return join(paths.verdicts, `qemu-${key}.json`)
}

/** The files of one template, published or in the making. */
export interface TemplatePaths {
  readonly directory: string
  /** Written last: a directory without it is not a template. Its time of modification is the template's last use. */
  readonly manifest: string
  /** The guest's memory: a sparse file of the VM's memory size. */
  readonly ram: string
  /** The state of the devices, as QEMU's migration wrote it. */
  readonly state: string
  /** What the guest's kernel said while it booted. */
  readonly bootLog: string
  /** Which `ram` was last digested in full, and during which boot of the host. */
  readonly stamp: string
}

/** The published template of a key; `key` is a hex digest. */
export function templatePaths(paths: Pick<HostPaths, 'templates'>, key: string): TemplatePaths {
  return templatePathsIn(join(paths.templates, key))
}

/** The files of a layer, published or in the making. */
export interface LayerPaths {
  readonly directory: string
  /** Written last: a directory without it is not a layer. Its time of modification is the layer's last use. */
  readonly manifest: string
  /** The file system that a VM gets as a read-only disk. */
  readonly disk: string
  /** Which `disk` was last digested in full, and during which boot of the host. */
  readonly stamp: string
}

/** The published layer of a key; `key` is a hex digest. */
export function layerPaths(paths: Pick<HostPaths, 'layers'>, key: string): LayerPaths {
  return layerPathsIn(join(paths.layers, key))
}

export function layerPathsIn(directory: string): LayerPaths {
  return {
    directory,
    manifest: join(directory, 'manifest.json'),
    disk: join(directory, 'layer.erofs'),
    stamp: join(directory, 'verified.json'),
  }
}

/** The lock of whoever builds the layer of a key; keys share 256 of them, as those of templates do. */
export function layerLockFile(paths: HostPaths, key: string): string {
  return lockFile(paths, `layer-${key.slice(0, 2)}`)
}

/** The name of an entry (template, layer) that is being made or removed. Its builder holds the lock of the key in it. */
export function workEntryName(key: string, unique: string): string {
  return `tmp-${key}-${unique}`
}

/** What a name in the directory of templates or layers stands for; undefined for what is not ours. */
export function parseEntryName(
  name: string,
): { readonly kind: 'published' | 'work'; readonly key: string } | undefined {
  const match = /^(tmp-)?([0-9a-f]{20})(-[0-9a-f]+)?$/.exec(name)
  const key = match?.[2]
  if (match === null || key === undefined || (match[1] === undefined) !== (match[3] === undefined)) return undefined
  return { kind: match[1] === undefined ? 'published' : 'work', key }
}

/**
 * The lock of whoever builds the template of a key. Lock files are never deleted and keys come and go with every image,
 * so keys share 256 of them: two that share one are built one after the other.
 */
export function templateLockFile(paths: HostPaths, key: string): string {
  return lockFile(paths, `template-${key.slice(0, 2)}`)
}

export function templatePathsIn(directory: string): TemplatePaths {
  return {
    directory,
    manifest: join(directory, 'manifest.json'),
    ram: join(directory, 'ram'),
    state: join(directory, 'state'),
    bootLog: join(directory, 'boot.log'),
    stamp: join(directory, 'verified.json'),
  }
}

/** A lock file among all processes that share the cache. */
export function lockFile(paths: HostPaths, name: string): string {
  return join(paths.locks, `${name}.lock`)
}

/** The lock file of the uids that jails of root use: one byte for each, held while a VM runs under that uid. */
export function uidLockFile(paths: Pick<HostPaths, 'runtimeDir'>): string {
  return join(paths.runtimeDir, 'uids.lock')
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
