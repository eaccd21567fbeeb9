import { readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DependencyError, errnoOf } from '../base/index.ts'
import type { HostPaths } from '../host/index.ts'
import { type ImageManifest, MANIFEST_FILE, parseManifest } from './manifest.ts'
import { listDirectory } from './store.ts'

/** A complete image on this host. Nothing of it is ever written again. */
export interface Image {
  readonly id: string
  readonly directory: string
  readonly manifest: ImageManifest
  /** The kernel, an uncompressed PVH vmlinux. */
  readonly kernel: string
  /** The cpio archive with the agent and the REPLs. */
  readonly initramfs: string
  /** The EROFS root file system. */
  readonly root: string
  /** Directory: the QEMU runtime tree, root file system of the jail. */
  readonly runtime: string
}

export interface ImageSummary {
  readonly id: string
  readonly directory: string
  readonly current: boolean
  /** Undefined when the image is damaged or foreign; `problem` then says how. */
  readonly manifest: ImageManifest | undefined
  readonly problem: string | undefined
}

export interface OpenImageOptions {
  readonly paths: HostPaths
  readonly env: NodeJS.ProcessEnv
}

const BUILD_COMMAND = 'sbx image build'

/**
 * Opens the image in use: the directory that EXEC_SANDBOX_IMAGE_DIR names, else the current one of the cache. Cheap: reads the manifest,
 * checks format and sizes. Throws DependencyError when there is none, or it is damaged or of another format.
 */
export async function openImage(options: OpenImageOptions): Promise<Image> {
  const named = options.env['EXEC_SANDBOX_IMAGE_DIR']
  if (named !== undefined && named !== '') return await openImageDirectory(resolve(named))
  const id = await currentImageId(options.paths)
  if (id === undefined) {
    throw imageError(`There is no image in ${options.paths.images} yet. Run: ${BUILD_COMMAND}`)
  }
  return await openImageDirectory(join(options.paths.images, id))
}

/** Opens the image in a directory, as `openImage` does. */
export async function openImageDirectory(directory: string): Promise<Image> {
  let text: string
  try {
    text = await readFile(join(directory, MANIFEST_FILE), 'utf8')
  } catch (error) {
    if (isMissing(error)) throw imageError(`${directory} holds no image. Run: ${BUILD_COMMAND}`, error)
    throw imageError(`The image in ${directory} cannot be read (${messageOf(error)}). Run: ${BUILD_COMMAND}`, error)
  }
  const result = parseManifest(text)
  if (!result.ok) {
    const what = result.reason === 'foreign' ? 'belongs to another version of exec-sandbox' : 'is damaged'
    throw imageError(`The image in ${directory} ${what}: ${result.message}. Run: ${BUILD_COMMAND}`)
  }
  const image = describe(directory, result.manifest)
  await checkSizes(image)
  return image
}

/** All images of the cache, the current one first. Damaged ones are listed with their problem. */
export async function listImages(paths: HostPaths): Promise<ImageSummary[]> {
  const current = await currentImageId(paths)
  const ids = (await listDirectory(paths.images)).filter((name) => /^[0-9a-f]{20}$/.test(name))
  const summaries = await Promise.all(
    ids.map(async (id): Promise<ImageSummary> => {
      const directory = join(paths.images, id)
      const base = { id, directory, current: id === current }
      try {
        return { ...base, manifest: (await openImageDirectory(directory)).manifest, problem: undefined }
      } catch (error) {
        if (!(error instanceof DependencyError)) throw error
        return { ...base, manifest: undefined, problem: error.message }
      }
    }),
  )
  const age = (summary: ImageSummary): string => summary.manifest?.createdAt ?? ''
  return summaries.toSorted((left, right) => {
    if (left.current !== right.current) return left.current ? -1 : 1
    return age(left) < age(right) ? 1 : -1
  })
}

/** The id in the file `current`, or undefined when there is none. */
export async function currentImageId(paths: HostPaths): Promise<string | undefined> {
  try {
    const id = (await readFile(paths.currentImage, 'utf8')).trim()
    return /^[0-9a-f]{20}$/.test(id) ? id : undefined
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function describe(directory: string, manifest: ImageManifest): Image {
  return Object.freeze({
    id: manifest.id,
    directory,
    manifest,
    kernel: join(directory, manifest.files.kernel.path),
    initramfs: join(directory, manifest.files.initramfs.path),
    root: join(directory, manifest.files.root.path),
    runtime: join(directory, manifest.runtime.path),
  })
}

async function checkSizes(image: Image): Promise<void> {
  for (const file of Object.values(image.manifest.files)) {
    const path = join(image.directory, file.path)
    const found = await sizeOf(path)
    if (found === file.size) continue
    const problem = found === undefined ? 'is missing' : `has ${found} bytes instead of ${file.size}`
    throw imageError(`The image is damaged: ${path} ${problem}. Run: ${BUILD_COMMAND}`)
  }
  const program = join(image.runtime, 'usr', 'bin', 'qemu-system-x86_64')
  if ((await sizeOf(program)) === undefined) {
    throw imageError(`The image is damaged: ${program} is missing. Run: ${BUILD_COMMAND}`)
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (isMissing(error)) return undefined
    throw imageError(`The image cannot be read: ${path}: ${messageOf(error)}. Run: ${BUILD_COMMAND}`, error)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function isMissing(error: unknown): boolean {
  const code = errnoOf(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}

function imageError(message: string, cause?: unknown): DependencyError {
  return new DependencyError(message, { dependency: 'image', fix: BUILD_COMMAND }, cause)
}
