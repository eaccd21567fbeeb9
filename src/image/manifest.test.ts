import { expect, test } from 'vitest'
import { IMAGE_FORMAT, type ImageManifest, parseManifest } from './manifest.ts'

const digest = 'a'.repeat(64)
const manifest: ImageManifest = {
  format: IMAGE_FORMAT,
  id: '0123456789abcdef0123',
  createdAt: '2026-01-02T03:04:05.000Z',
  components: { kernel: 'k', runtime: 'r', rootfs: 'f', initramfs: 'i' },
  files: {
    kernel: { path: 'vmlinux', sha256: digest, size: 1 },
    initramfs: { path: 'initramfs.cpio', sha256: digest, size: 2 },
    root: { path: 'root.erofs', sha256: digest, size: 3 },
  },
  runtime: { path: 'runtime', digest, size: 4, files: 5 },
  versions: {
    suite: 'trixie',
    kernel: '6.12.1',
    qemu: '10.0.1',
    qemuPackage: '1:10.0.1',
    python: '3.13.1',
    bun: '1.0.0',
    bash: '5.2.1',
    uv: '0.1.0',
    agent: '0.1.0',
  },
  packages: [{ name: 'bash', version: '5.2-1' }],
  buildMs: { kernel: 1, runtime: 2, rootfs: 3, initramfs: 4 },
}

test('a manifest is read back as it was written', () => {
  expect(parseManifest(JSON.stringify(manifest))).toEqual({ ok: true, manifest })
})

test('another format is foreign, whatever else it holds', () => {
  expect(parseManifest(JSON.stringify({ format: IMAGE_FORMAT + 1 }))).toMatchObject({ ok: false, reason: 'foreign' })
})

test.each([
  ['no JSON', '{'],
  ['not an object', '7'],
  ['no format', '{}'],
  ['a file outside of the image', JSON.stringify(manifest).replace('vmlinux', '../vmlinux')],
  ['a size that is none', JSON.stringify(manifest).replace('"size":1', '"size":-1')],
  ['no packages', JSON.stringify({ ...manifest, packages: undefined })],
])('%s is damage', (_, text) => {
  expect(parseManifest(text)).toMatchObject({ ok: false, reason: 'damaged' })
})
