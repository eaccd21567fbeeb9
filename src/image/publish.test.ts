import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createLogger, DependencyError } from '../base/index.ts'
import { type HostPaths, resolvePaths } from '../host/index.ts'
import type { BuildContext } from './build-context.ts'
import { type Image, listImages, openImage, openImageDirectory } from './image.ts'
import { MANIFEST_FILE } from './manifest.ts'
import { type ImageComponents, publishImage } from './publish.ts'
import { type BuiltComponent, type Component, type ComponentKind, provideComponent } from './store.ts'
import { verifyImage } from './verify.ts'

const signal = new AbortController().signal
const logger = createLogger('silent')
let paths: HostPaths
let context: BuildContext

beforeEach(async () => {
  const cacheDir = await mkdtemp(join(tmpdir(), 'exec-sandbox-image-'))
  paths = resolvePaths({}, { cacheDir })
  context = {
    paths,
    env: {},
    signal,
    logger,
    onProgress: () => {},
    refresh: '',
    aptRoot: async () => await Promise.reject(new Error('not needed')),
  }
})
afterEach(async () => await rm(paths.cacheDir, { recursive: true }))

async function component(kind: ComponentKind, content: string): Promise<Component> {
  const names: Readonly<Record<string, string>> = {
    kernel: 'vmlinux',
    rootfs: 'root.erofs',
    initramfs: 'initramfs.cpio',
  }
  const build = async (output: string): Promise<BuiltComponent> => {
    if (kind === 'runtime') {
      await mkdir(join(output, 'tree', 'usr', 'bin'), { recursive: true })
      await writeFile(join(output, 'tree', 'usr', 'bin', 'qemu-system-x86_64'), content, { mode: 0o755 })
      return { facts: { qemu: '10.0' }, artifacts: { tree: 'tree' } }
    }
    const name = names[kind] ?? 'file'
    await writeFile(join(output, name), content)
    await writeFile(join(output, 'packages.json'), '[{"name":"bash","version":"5"}]')
    return { facts: {}, artifacts: { [name]: 'file' } }
  }
  // The content stands for everything that shapes a component, so it can be its key.
  return await provideComponent(paths, { kind, key: content, build, signal, logger })
}

async function components(text: string): Promise<ImageComponents> {
  return {
    kernel: await component('kernel', `kernel-${text}`),
    qemu: await component('qemu', `qemu-${text}`),
    runtime: await component('runtime', `runtime-${text}`),
    rootfs: await component('rootfs', `rootfs-${text}`),
    initramfs: await component('initramfs', `initramfs-${text}`),
  }
}

async function publish(text: string): Promise<Image> {
  return await publishImage(context, await components(text))
}

async function flipBit(path: string): Promise<void> {
  const content = await readFile(path)
  content[0] = (content[0] ?? 0) ^ 1
  await writeFile(path, content)
}

describe('publishing', () => {
  test('the published image is the current one, complete, and stands on its own', async () => {
    const image = await publish('one')
    await rm(paths.build, { recursive: true })
    const opened = await openImage({ paths, env: {} })
    expect(opened).toEqual(image)
    expect(await readFile(opened.kernel, 'utf8')).toBe('kernel-one')
    expect(await verifyImage(opened, signal)).toMatchObject({ ok: true })
  })

  test('the same content gives the same image; another content another one', async () => {
    const first = await publish('one')
    const inode = (await stat(first.directory)).ino
    expect((await publish('one')).id).toBe(first.id)
    expect((await stat(first.directory)).ino).toBe(inode)
    expect((await publish('two')).id).not.toBe(first.id)
  })

  test('the last two images and their components are kept, older ones removed', async () => {
    await publish('one')
    const two = await publish('two')
    const three = await publish('three')
    expect((await listImages(paths)).map(({ id }) => id)).toEqual([three.id, two.id])
    expect((await readdir(join(paths.build, 'kernel'))).toSorted()).toEqual(['kernel-three', 'kernel-two'])
    expect((await readdir(join(paths.build, 'qemu'))).toSorted()).toEqual(['qemu-three', 'qemu-two'])
  })

  test('publishing over a damaged image of the same content mends it', async () => {
    const image = await publish('one')
    await rm(join(image.directory, MANIFEST_FILE))
    expect((await publish('one')).id).toBe(image.id)
    expect(await verifyImage(await openImage({ paths, env: {} }), signal)).toMatchObject({ ok: true })
  })

  test('a component whose content was damaged is built again, not published again', async () => {
    const image = await publish('one')
    await flipBit(image.root)
    expect(await verifyImage(image, signal)).toMatchObject({ ok: false })
    expect(await verifyImage(await publish('one'), signal)).toMatchObject({ ok: true })
  })
})

describe('opening', () => {
  test('without an image says how to build one', async () => {
    const opening = openImage({ paths, env: {} })
    await expect(opening).rejects.toBeInstanceOf(DependencyError)
    await expect(opening).rejects.toMatchObject({ details: { fix: 'sbx image build' } })
  })

  test('the directory named by the environment wins', async () => {
    const one = await publish('one')
    await publish('two')
    const opened = await openImage({ paths, env: { EXEC_SANDBOX_IMAGE_DIR: one.directory } })
    expect(opened.id).toBe(one.id)
    await expect(openImage({ paths, env: { EXEC_SANDBOX_IMAGE_DIR: paths.cacheDir } })).rejects.toThrow(
      /holds no image/,
    )
  })

  test.each(['kernel', 'initramfs', 'root'] as const)('finds a truncated or missing %s', async (name) => {
    const image = await publish('one')
    await truncate(image[name], 3)
    await expect(openImageDirectory(image.directory)).rejects.toThrow(/has 3 bytes instead of/)
    await rm(image[name])
    await expect(openImageDirectory(image.directory)).rejects.toThrow(/is missing/)
  })

  test('an image of another format is foreign, one with a torn manifest damaged', async () => {
    const image = await publish('one')
    const manifest = join(image.directory, MANIFEST_FILE)
    await writeFile(manifest, JSON.stringify({ ...image.manifest, format: 99 }))
    await expect(openImageDirectory(image.directory)).rejects.toThrow(/another version of exec-sandbox/)
    await writeFile(manifest, '{"format": 1')
    await expect(openImageDirectory(image.directory)).rejects.toThrow(/damaged/)
    const [listed] = await listImages(paths)
    expect(listed?.problem).toMatch(/damaged/)
  })
})

describe('verifying', () => {
  test.each(['kernel', 'initramfs', 'root'] as const)('finds one flipped bit in %s', async (name) => {
    const image = await publish('one')
    await flipBit(image[name])
    const report = await verifyImage(image, signal)
    expect(report.parts.filter((part) => !part.ok).map((part) => part.name)).toEqual([name])
  })

  test('finds a changed, an added and a removed file of the runtime tree', async () => {
    const image = await publish('one')
    const program = join(image.runtime, 'usr', 'bin', 'qemu-system-x86_64')
    const added = join(image.runtime, 'usr', 'bin', 'added')
    await writeFile(added, '')
    expect((await verifyImage(image, signal)).ok).toBe(false)
    await rm(added)
    expect((await verifyImage(image, signal)).ok).toBe(true)
    await flipBit(program)
    expect((await verifyImage(image, signal)).ok).toBe(false)
    await rm(program)
    const report = await verifyImage(image, signal)
    expect(report.parts.filter((part) => !part.ok).map((part) => part.name)).toEqual(['runtime'])
  })
})
