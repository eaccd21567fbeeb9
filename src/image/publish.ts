import { copyFile, link, lstat, mkdir, readdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, throwIfAborted } from '../base/index.ts'
import { type HostPaths, writeFileAtomic, writeJsonAtomic } from '../host/index.ts'
import type { BuildContext } from './build-context.ts'
import { contentKey } from './content-key.ts'
import { currentImageId, type Image, listImages, openImageDirectory } from './image.ts'
import { IMAGE_FORMAT, type ImageManifest, MANIFEST_FILE, packageListSchema } from './manifest.ts'
import { type Artifact, type Component, removeOtherComponents, withTemporaryDirectory } from './store.ts'
import { verifyImage } from './verify.ts'

/** The components of an image; QEMU is part of it within the runtime tree. */
export interface ImageComponents {
  readonly kernel: Component
  readonly qemu: Component
  readonly runtime: Component
  readonly rootfs: Component
  readonly initramfs: Component
}

/** Images kept: the current one, and the one before it for whoever still runs it or wants to go back. */
const KEPT_IMAGES = 2

/**
 * Puts components together as an image, makes it the current one and removes what is older than the one before. An image
 * directory stands on its own: its files are hard links to the components' files, or copies where links are not possible.
 */
export async function publishImage(context: BuildContext, components: ImageComponents): Promise<Image> {
  const { paths, signal } = context
  const manifest = await describe(components)
  const directory = join(paths.images, manifest.id)
  if (!(await isIntact(directory, signal))) {
    await withTemporaryDirectory(paths, 'image', async (temporary) => {
      const staged = join(temporary, 'staged')
      await mkdir(staged)
      await linkOrCopy(join(components.kernel.directory, 'vmlinux'), join(staged, manifest.files.kernel.path))
      await linkOrCopy(join(components.rootfs.directory, 'root.erofs'), join(staged, manifest.files.root.path))
      await linkOrCopy(
        join(components.initramfs.directory, 'initramfs.cpio'),
        join(staged, manifest.files.initramfs.path),
      )
      await linkTree(join(components.runtime.directory, 'tree'), join(staged, manifest.runtime.path))
      await writeJsonAtomic(join(staged, MANIFEST_FILE), manifest)
      throwIfAborted(signal)
      await mkdir(paths.images, { recursive: true })
      await moveAway(directory, join(temporary, 'damaged'))
      await rename(staged, directory)
    })
  }
  const previous = await currentImageId(paths)
  await writeFileAtomic(paths.currentImage, `${manifest.id}\n`)
  await removeOldImages(paths, manifest, previous)
  return await openImageDirectory(directory)
}

async function describe(components: ImageComponents): Promise<ImageManifest> {
  const { kernel, qemu, runtime, rootfs, initramfs } = components
  const files = {
    kernel: fileOf(kernel, 'vmlinux'),
    initramfs: fileOf(initramfs, 'initramfs.cpio'),
    root: fileOf(rootfs, 'root.erofs'),
  }
  const tree = artifactOf(runtime, 'tree')
  const id = contentKey({
    format: String(IMAGE_FORMAT),
    kernel: files.kernel.sha256,
    initramfs: files.initramfs.sha256,
    root: files.root.sha256,
    runtime: tree.digest,
  })
  const fact = (component: Component, name: string): string => component.facts[name] ?? 'unknown'
  return {
    format: IMAGE_FORMAT,
    id,
    createdAt: new Date().toISOString(),
    components: {
      kernel: kernel.key,
      qemu: qemu.key,
      runtime: runtime.key,
      rootfs: rootfs.key,
      initramfs: initramfs.key,
    },
    files,
    runtime: { path: 'runtime', digest: tree.digest, size: tree.size, files: tree.files },
    versions: {
      suite: fact(rootfs, 'suite'),
      kernel: fact(kernel, 'kernel'),
      qemu: fact(runtime, 'qemu'),
      qemuPackage: fact(runtime, 'qemuPackage'),
      python: fact(rootfs, 'python'),
      bun: fact(rootfs, 'bun'),
      bash: fact(rootfs, 'bash'),
      uv: fact(rootfs, 'uv'),
      agent: fact(initramfs, 'agent'),
    },
    packages: packageListSchema.parse(JSON.parse(await readFile(join(rootfs.directory, 'packages.json'), 'utf8'))),
    buildMs: {
      kernel: kernel.buildMs,
      runtime: runtime.buildMs,
      rootfs: rootfs.buildMs,
      initramfs: initramfs.buildMs,
    },
  }
}

function fileOf(component: Component, path: string): { path: string; sha256: string; size: number } {
  const artifact = artifactOf(component, path)
  return { path, sha256: artifact.digest, size: artifact.size }
}

function artifactOf(component: Component, name: string): Artifact {
  const artifact = component.artifacts[name]
  if (artifact === undefined) throw new Error(`component ${component.kind} ${component.key} has no ${name}`)
  return artifact
}

async function isIntact(directory: string, signal: AbortSignal): Promise<boolean> {
  try {
    return (await verifyImage(await openImageDirectory(directory), signal)).ok
  } catch {
    throwIfAborted(signal)
    return false
  }
}

async function removeOldImages(paths: HostPaths, current: ImageManifest, previous: string | undefined): Promise<void> {
  const images = await listImages(paths)
  const rank = (id: string): number => (id === current.id ? 0 : id === previous ? 1 : 2)
  const kept = images
    .filter((image) => image.manifest !== undefined)
    .toSorted((left, right) => rank(left.id) - rank(right.id))
    .slice(0, KEPT_IMAGES)
  for (const image of images) {
    if (!kept.includes(image)) await rm(image.directory, { recursive: true, force: true })
  }
  const keep = kept.flatMap(({ manifest }) => Object.entries(manifest?.components ?? {}))
  await removeOtherComponents(
    paths,
    keep.flatMap(([kind, key]) => (key === undefined ? [] : [{ kind, key }])),
  )
}

async function moveAway(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

async function linkTree(from: string, to: string): Promise<void> {
  await mkdir(to)
  for (const name of await readdir(from)) {
    const source = join(from, name)
    const status = await lstat(source)
    if (status.isDirectory()) await linkTree(source, join(to, name))
    else if (status.isSymbolicLink()) await symlink(await readlink(source), join(to, name))
    else await linkOrCopy(source, join(to, name))
  }
}

/** File systems without hard links, or with too many on one file, get a copy. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    if (!['EPERM', 'EXDEV', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP'].includes(errnoOf(error) ?? '')) {
      throw error
    }
    await copyFile(from, to)
  }
}
