import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DependencyError, type Logger, SandboxError, throwIfAborted } from '../base/index.ts'
import { FileLock, type HostPaths, lockFile } from '../host/index.ts'
import { type AptRoot, openAptRoot } from './apt.ts'
import type { BuildContext, BuildEvent } from './build-context.ts'
import { explainDiskFull, requireDiskSpace } from './disk-space.ts'
import type { Image } from './image.ts'
import { provideInitramfs } from './initramfs.ts'
import { provideKernel } from './kernel.ts'
import { type ImageComponents, publishImage } from './publish.ts'
import { readRootRecipe } from './recipe.ts'
import { provideQemu } from './qemu.ts'
import { provideRootFileSystem } from './root-file-system.ts'
import { provideRuntimeTree } from './runtime-tree.ts'
import { listDirectory, removeStaleTemporaries } from './store.ts'
import { requireTools } from './tools.ts'

export interface BuildImageOptions {
  readonly paths: HostPaths
  readonly env: NodeJS.ProcessEnv
  readonly signal: AbortSignal
  readonly onProgress: (event: BuildEvent) => void
  readonly logger: Logger
  /** Fetch Debian's packages anew, with today's versions, although the recipe has not changed. @default false */
  readonly refresh?: boolean | undefined
}

/** Programs without which no build can start; all missing ones are reported together. A normal user needs newuidmap as well. */
const TOOLS = [
  ...[
    'apt-cache',
    'apt-config',
    'apt-get',
    'bc',
    'bison',
    'cargo',
    'cc',
    'dpkg-deb',
    'dpkg-query',
    'flex',
    'gcc',
    'ld',
  ],
  ...['make', 'mkfs.erofs', 'mmdebstrap', 'npm', 'objdump', 'perl', 'python3', 'setpriv', 'strip', 'tar', 'xz'],
]
/** Free space that a build from nothing needs: kernel source and objects 2.2 GB; the roots of the guest and of QEMU's compiler, one after the other, 2 GB; results 0.4 GB. */
const NEED_FROM_NOTHING_MB = 5_000
/** Free space for a build that finds its large parts in the store. */
const NEED_WITH_STORE_MB = 500
/** Longest wait for another process that is building: a build takes minutes, on a small machine half an hour. */
const LOCK_WAIT_MS = 3_600_000

/**
 * Builds what is missing and makes the result the current image. Two builds at once do the work once: the second waits and finds
 * everything in the store. When it fails or is aborted, nothing of it is left and the current image is as before.
 */
export async function buildImage(options: BuildImageOptions): Promise<Image> {
  const { paths, env, signal, onProgress, logger } = options
  throwIfAborted(signal)
  await requireTools(process.getuid?.() === 0 ? TOOLS : [...TOOLS, 'newuidmap'], env)
  onProgress({ step: 'prepare', state: 'started' })
  await using _lock = await lockBuild(options)
  await removeStaleTemporaries(paths)
  const needMb = (await hasStore(paths)) && options.refresh !== true ? NEED_WITH_STORE_MB : NEED_FROM_NOTHING_MB
  await requireDiskSpace(paths.build, needMb)
  onProgress({ step: 'prepare', state: 'done' })
  // One step's failure ends the others: their children are gone before this function throws.
  const all = new AbortController()
  const onAbort = (): void => all.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const context: BuildContext = {
    paths,
    env,
    logger,
    onProgress,
    signal: all.signal,
    aptRoot: rememberAptRoot(options, all.signal),
    refresh: options.refresh === true ? new Date().toISOString() : '',
  }
  try {
    return await publishImage(context, await buildComponents(context, all))
  } catch (error) {
    throwIfAborted(signal)
    const explained = await explainDiskFull(error, paths.build, needMb)
    throw explained instanceof SandboxError ? explained : unexpected(explained)
  } finally {
    signal.removeEventListener('abort', onAbort)
    await removeStaleTemporaries(paths)
  }
}

/** The kernel compiles while packages are fetched, and QEMU after them; the initramfs needs the headers of the root's bash. */
async function buildComponents(context: BuildContext, all: AbortController): Promise<ImageComponents> {
  let firstError: unknown
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      firstError ??= error
      all.abort(error)
      throw error
    }
  }
  const kernel = guarded(async () => await provideKernel(context))
  const trees = guarded(async () => {
    const rootfs = await provideRootFileSystem(context)
    const initramfs = await provideInitramfs(context, rootfs)
    const qemu = await provideQemu(context)
    return { qemu, runtime: await provideRuntimeTree(context, qemu), rootfs, initramfs }
  })
  const [kernelResult, treesResult] = await Promise.allSettled([kernel, trees])
  if (kernelResult.status === 'rejected' || treesResult.status === 'rejected') throw firstError
  return { kernel: kernelResult.value, ...treesResult.value }
}

async function lockBuild(options: BuildImageOptions): Promise<FileLock> {
  const path = lockFile(options.paths, 'image-build')
  const free = await FileLock.tryAcquire(path)
  if (free !== undefined) return free
  options.onProgress({ step: 'prepare', state: 'waiting', detail: 'another process is building the image' })
  return await FileLock.acquire(path, {
    timeoutMs: LOCK_WAIT_MS,
    signal: options.signal,
    onTimeout: () => {
      const fix = 'find the process that holds it (fuser) and end it, then run again: sbx image build'
      return new DependencyError(`Another build has held ${path} for an hour: ${fix}`, {
        dependency: 'build lock',
        fix,
      })
    },
  })
}

function rememberAptRoot(options: BuildImageOptions, signal: AbortSignal): () => Promise<AptRoot> {
  let root: Promise<AptRoot> | undefined
  return async () => {
    root ??= (async () => {
      const directory = join(options.paths.build, 'tmp', 'apt')
      await rm(directory, { recursive: true, force: true })
      const { suite } = await readRootRecipe()
      return await openAptRoot({ suite, directory, env: options.env, signal, logger: options.logger })
    })()
    return await root
  }
}

async function hasStore(paths: HostPaths): Promise<boolean> {
  const kinds = await Promise.all(
    ['kernel', 'rootfs', 'qemu', 'runtime'].map(async (kind) => await listDirectory(join(paths.build, kind))),
  )
  return kinds.every((keys) => keys.length > 0)
}

function unexpected(error: unknown): DependencyError {
  const fix = 'read the output above; when it is not about this machine, report it as a bug'
  const message = error instanceof Error ? error.message : String(error)
  return new DependencyError(`The image could not be built: ${message}`, { dependency: 'image', fix }, error)
}
