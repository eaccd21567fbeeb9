import { execFile } from 'node:child_process'
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type TemplatePaths, templatePaths } from '../../src/host/index.ts'
import { type Template, templateKey } from '../../src/snapshot/index.ts'
import { fill, makeCache, SIGNAL, spec, type TestCache } from './made-templates.ts'

const run = promisify(execFile)

/** Changes one byte, and sets the time of modification back to what it was. */
async function flip(path: string, at: number): Promise<void> {
  const { atime, mtime } = await lstat(path)
  await chmod(path, 0o644)
  const file = await open(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, at)
    await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at)
  } finally {
    await file.close()
  }
  await utimes(path, atime, mtime)
}

async function cut(path: string): Promise<void> {
  await chmod(path, 0o644)
  await truncate(path, Math.floor((await lstat(path)).size / 2))
}

async function replace(path: string, by: string): Promise<void> {
  await rm(path)
  await copyFile(by, path)
}

async function editManifest(path: string, from: string, to: string): Promise<void> {
  const text = await readFile(path, 'utf8')
  expect(text).toContain(from)
  await rm(path)
  await writeFile(path, text.replace(from, to))
}

type Damage = (template: TemplatePaths, other: TemplatePaths) => Promise<unknown>

type Case = readonly [name: string, damage: Damage, reason: RegExp]

const MANIFEST_DAMAGES: readonly Case[] = [
  ['its manifest deleted', async ({ manifest }) => await rm(manifest), /manifest\.json/],
  ['its manifest torn', async ({ manifest }) => await cut(manifest), /manifest is not JSON/],
  ['an empty manifest', async ({ manifest }) => await writeManifest(manifest, ''), /manifest is not JSON/],
  [
    'a manifest of nonsense',
    async ({ manifest }) => await writeManifest(manifest, '{"format":1}'),
    /manifest is wrong/,
  ],
  [
    'a foreign format',
    async ({ manifest }) => await editManifest(manifest, '"format":1', '"format":99'),
    /it has format 99, this version reads format 1/,
  ],
  [
    "another template's manifest",
    async ({ manifest }, other) => await replace(manifest, other.manifest),
    /manifest is that of another template/,
  ],
  [
    'a manifest that names another QEMU',
    async ({ manifest }) => await editManifest(manifest, 'qemu-10.0', 'qemu-10.1'),
    /describes another template/,
  ],
]

const FILE_DAMAGES: readonly Case[] = [
  [
    'its whole directory swapped for that of another',
    async ({ directory }, other) => {
      await rename(directory, `${directory}-away`)
      await rename(other.directory, directory)
      await rename(`${directory}-away`, other.directory)
    },
    /manifest is that of another template/,
  ],
  ['its RAM deleted', async ({ ram }) => await rm(ram), /ENOENT.*ram/],
  ['its RAM truncated', async ({ ram }) => await cut(ram), /RAM has 4194304 bytes instead of 8388608/],
  ['one bit of its RAM flipped', async ({ ram }) => await flip(ram, 3 * 2 ** 20 + 5000), /RAM has another digest/],
  ['one bit set where its RAM was zero', async ({ ram }) => await flip(ram, 5 * 2 ** 20), /RAM has another digest/],
  ["another template's RAM", async ({ ram }, other) => await replace(ram, other.ram), /RAM has another digest/],
  [
    "another template's RAM and its stamp",
    async ({ ram, stamp }, other) => {
      await rename(other.ram, ram)
      await rename(other.stamp, stamp)
    },
    /RAM has another digest/,
  ],
  [
    'a directory for its RAM',
    async ({ ram }) => {
      await rm(ram)
      await mkdir(ram)
    },
    /not a regular file/,
  ],
  [
    'a link for its RAM',
    async ({ ram }, other) => {
      await rm(ram)
      await symlink(other.ram, ram)
    },
    /not a regular file/,
  ],
  ['its state deleted', async ({ state }) => await rm(state), /ENOENT.*state/],
  ['its state truncated', async ({ state }) => await cut(state), /state has 5 bytes instead of 10/],
  ['one bit of its state flipped', async ({ state }) => await flip(state, 3), /state has another digest/],
  [
    "another template's state",
    async ({ state }, other) => await replace(state, other.state),
    /state has another digest/,
  ],
  [
    'a FIFO for its state',
    async ({ state }) => {
      await rm(state)
      await run('mkfifo', [state])
    },
    /not a regular file/,
  ],
]

async function writeManifest(path: string, text: string): Promise<void> {
  await rm(path)
  await writeFile(path, text)
}

async function twoTemplates(cache: TestCache): Promise<readonly [Template, Template]> {
  const store = cache.store()
  const one = await store.build(spec(), fill('a'), { signal: SIGNAL })
  const two = await store.build(spec({ language: 'bash' }), fill('b'), { signal: SIGNAL })
  return [one ?? expect.fail(), two ?? expect.fail()]
}

const warnings = (cache: TestCache): readonly string[] => cache.lines.filter((line) => line.includes('WARN'))

describe.each([
  ['another process', 'other', [...MANIFEST_DAMAGES, ...FILE_DAMAGES]],
  ['the process that has used it before', 'same', FILE_DAMAGES],
] as const)('in %s, a template with', (_who, who, cases) => {
  it.each(cases)('%s is found damaged, told once with the reason, removed, and built anew', async (_n, damage, why) => {
    await using cache = await makeCache()
    const [template, other] = await twoTemplates(cache)
    const used = cache.store()
    expect(await used.open(template.key)).toEqual(template)
    await damage(templatePaths(cache.paths, template.key), templatePaths(cache.paths, other.key))
    const store = who === 'same' ? used : cache.store()
    expect(await store.open(template.key)).toBeUndefined()
    expect(warnings(cache)).toEqual([expect.stringMatching(why)])
    expect(await readdir(cache.paths.templates)).not.toContain(template.key)
    expect(await store.open(template.key)).toBeUndefined()
    expect(warnings(cache)).toHaveLength(1)
    const rebuilt = await store.build(spec(), fill('a'), { signal: SIGNAL })
    expect(rebuilt?.manifest.ram).toEqual(template.manifest.ram)
  })
})

describe('a template', () => {
  it('is found damaged after a restart of the host though its file looks untouched', async () => {
    await using cache = await makeCache()
    const [template] = await twoTemplates(cache)
    const { ram, stamp } = templatePaths(cache.paths, template.key)
    await flip(ram, 4096)
    // As it would be after a crash before all of it was on the disk: the same identity, another boot.
    const { ino, size, mtimeNs, ctimeNs } = await lstat(ram, { bigint: true })
    const identity = [ino, size, mtimeNs, ctimeNs].join(':')
    await rm(stamp)
    await writeFile(
      stamp,
      JSON.stringify({ identity, sha256: template.manifest.ram.sha256, bootId: 'an earlier boot' }),
    )
    expect(await cache.store().open(template.key)).toBeUndefined()
    expect(warnings(cache)).toEqual([expect.stringMatching(/RAM has another digest/)])
  })

  it('whose manifest is lost is still good for the process that has checked its other files', async () => {
    await using cache = await makeCache()
    const [template] = await twoTemplates(cache)
    const store = cache.store()
    await store.open(template.key)
    await rm(templatePaths(cache.paths, template.key).manifest)
    expect(await store.open(template.key)).toEqual(template)
  })

  it('that is taken away while it is opened is absent, not damaged', async () => {
    await using cache = await makeCache()
    const [template] = await twoTemplates(cache)
    await utimes(template.ram, new Date(0), new Date(0))
    const stores = Array.from({ length: 8 }, () => cache.store())
    const opened = Promise.all(stores.map(async (store) => await store.open(template.key)))
    await rename(template.directory, join(cache.paths.cacheDir, 'taken'))
    for (const found of await opened) expect([undefined, template.key]).toContain(found?.key)
    expect(warnings(cache)).toEqual([])
  })

  it('of another spec has another key, whatever differs', () => {
    const changes = [
      { format: 2 },
      { imageId: 'image-b' },
      { program: 'qemu-10.1' },
      { host: 'processor' },
      { accelerator: 'kvm' as const },
      { argv: ['-machine', 'microvm', '-x'] },
      { argv: ['-machine microvm'] },
      { language: 'bash' },
      { warmUp: 'print(43)' },
      { memoryMb: 9 },
      { cpus: 2 },
    ]
    const keys = [spec(), ...changes.map((change) => spec(change))].map(templateKey)
    expect(new Set(keys).size).toBe(changes.length + 1)
    expect(templateKey(spec())).toBe(templateKey(spec({ argv: ['-machine', 'microvm'] })))
  })
})
