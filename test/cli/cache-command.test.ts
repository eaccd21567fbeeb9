import { execFile } from 'node:child_process'
import { readdir, rm, utimes } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { createLogger } from '../../src/base/index.ts'
import { layerPaths, templatePaths } from '../../src/host/index.ts'
import { layerKey, LayerStore } from '../../src/layer/index.ts'
import { templateKey } from '../../src/snapshot/index.ts'
import { layerSpec, makeDisk, WAIT } from '../layer/made-layers.ts'
import { fill, makeCache, SIGNAL, spec, type TestCache } from '../snapshot/made-templates.ts'

// The built command line over real templates of a cache of its own; no VM is started.
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function sbx(cache: TestCache, ...args: readonly string[]): Promise<Ended> {
  const env = { ...process.env, EXEC_SANDBOX_CACHE_DIR: cache.paths.cacheDir, EXEC_SANDBOX_IMAGE_DIR: '' }
  return await new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { env, timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

const LANGUAGES = ['python', 'javascript', 'bash'] as const
const keyOf = (language: string): string => templateKey(spec({ language }))
const keysOf = (...languages: readonly string[]): readonly string[] => languages.map(keyOf).toSorted()
const present = async (cache: TestCache): Promise<readonly string[]> =>
  (await readdir(cache.paths.templates)).toSorted()

/** Templates of three languages, used now, two days ago and nine days ago. */
async function makeTemplates(cache: TestCache): Promise<void> {
  const store = cache.store()
  for (const [index, language] of LANGUAGES.entries()) {
    await store.build(spec({ language }), fill(language), { signal: SIGNAL })
    const usedAt = Date.now() / 1000 - ([0, 2.5, 9.5][index] ?? 0) * 86_400
    await utimes(templatePaths(cache.paths, keyOf(language)).manifest, usedAt, usedAt)
  }
}

describe('sbx cache ls', () => {
  it('tells what there is, the one used last first', async () => {
    await using cache = await makeCache()
    await makeTemplates(cache)
    const { code, stdout } = await sbx(cache, 'cache', 'ls')
    expect(code).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    expect(lines[0]).toMatch(/TEMPLATE +LANGUAGE +MEMORY +CPUS +SIZE +MADE +USED$/)
    expect(lines.slice(1).map((line) => line.trim().replace(/ {2,}/g, '  '))).toEqual([
      expect.stringMatching(
        new RegExp(`^${keyOf('python').slice(0, 12)} {2}python {2}8 MB {2}1 {2}\\d+ kB {2}now {2}now$`),
      ),
      expect.stringMatching(/javascript .* now {2}2 d ago$/),
      expect.stringMatching(/bash .* now {2}9 d ago$/),
    ])
  })

  it('tells programs all of it', async () => {
    await using cache = await makeCache()
    await makeTemplates(cache)
    const { code, stdout } = await sbx(cache, 'cache', 'ls', '--json')
    expect(code).toBe(0)
    const list: { language: string }[] = JSON.parse(stdout)
    expect(list.map(({ language }) => language)).toEqual(LANGUAGES)
    expect(list[0]).toEqual({
      kind: 'template',
      key: keyOf('python'),
      directory: templatePaths(cache.paths, keyOf('python')).directory,
      language: 'python',
      memoryMb: 8,
      cpus: 1,
      accelerator: 'tcg',
      bytes: expect.any(Number),
      createdAt: expect.stringMatching(/^\d{4}-/),
      lastUsedAt: expect.stringMatching(/^\d{4}-/),
      qemuVersion: '10.0.0',
      imageId: 'image-a',
      imageInUse: false,
    })
  })

  it('lists a damaged one with what is wrong with it', async () => {
    await using cache = await makeCache()
    await makeTemplates(cache)
    await rm(templatePaths(cache.paths, keyOf('bash')).manifest)
    const { stdout } = await sbx(cache, 'cache', 'ls')
    expect(stdout).toMatch(new RegExp(`${keyOf('bash').slice(0, 12)} +unusable`))
    expect(stdout).toMatch(new RegExp(`${keyOf('bash').slice(0, 12)}: ENOENT`))
  })

  it('says that there are none, and prints an empty list for programs', async () => {
    await using cache = await makeCache()
    expect(await sbx(cache, 'cache', 'ls')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringMatching(/^No templates/),
    })
    expect(await sbx(cache, 'cache', 'ls', '--json')).toMatchObject({ code: 0, stdout: '[]\n' })
  })
})

describe('sbx cache prune', () => {
  it.each([
    ['of no image', [], LANGUAGES],
    ['used within a week', ['--older-than', '7d'], ['python', 'javascript']],
    ['used within a day', ['--older-than', '24h'], ['python']],
    ['of no age', ['--older-than', '0s'], []],
    ['within a generous limit', ['--limit-mb', '100'], LANGUAGES],
    ['within no limit', ['--limit-mb', '0'], []],
    ['within both', ['--older-than', '7d', '--limit-mb', '100'], ['python', 'javascript']],
    ['of all', ['--all'], []],
  ] as const)('keeps those %s: %j', async (_which, options, kept) => {
    await using cache = await makeCache()
    await makeTemplates(cache)
    const { code, stdout } = await sbx(cache, 'cache', 'prune', ...options)
    expect(code).toBe(0)
    expect(await present(cache)).toEqual(keysOf(...kept))
    const gone = LANGUAGES.length - kept.length
    expect(stdout.match(/^removed /gm) ?? []).toHaveLength(gone)
    expect(stdout).toMatch(new RegExp(`^${gone} templates? removed, \\d+ kB freed\\.$`, 'm'))
  })

  it('always removes damaged ones', async () => {
    await using cache = await makeCache()
    await makeTemplates(cache)
    await rm(templatePaths(cache.paths, keyOf('bash')).manifest)
    expect(await sbx(cache, 'cache', 'prune')).toMatchObject({ code: 0, stdout: expect.stringContaining('unusable') })
    expect(await present(cache)).toEqual(keysOf('python', 'javascript'))
  })

  it('does nothing where there is nothing', async () => {
    await using cache = await makeCache()
    expect(await sbx(cache, 'cache', 'prune', '--all')).toEqual({
      code: 0,
      stdout: '0 templates removed, 0 kB freed.\n',
      stderr: '',
    })
  })
})

describe('layers', () => {
  const packages = [
    { name: 'NumPy', version: '2.5.5' },
    { name: 'pandas', version: '2.2.3' },
    { name: 'pytz', version: '2026.6' },
  ]
  const pandas = layerSpec({ packages: ['numpy>=2', 'pandas==2.2.3'] })

  async function makeLayers(cache: TestCache): Promise<void> {
    const logger = createLogger('silent')
    const store = new LayerStore({ paths: cache.paths, limitBytes: 2 ** 40, logger })
    await store.build(pandas, async (work) => ({ ...(await makeDisk('a')(work)), packages }), WAIT)
    const zod = layerSpec({ language: 'javascript', packages: ['@scope/zod@^4'] })
    const { key } = await store.build(zod, makeDisk('b'), WAIT)
    const usedAt = Date.now() / 1000 - 2.5 * 86_400
    await utimes(layerPaths(cache.paths, key).manifest, usedAt, usedAt)
  }

  it('are listed with what was asked for and the versions that it became', async () => {
    await using cache = await makeCache()
    await makeLayers(cache)
    const lines = (await sbx(cache, 'cache', 'ls')).stdout.trimEnd().split('\n')
    expect(lines[0]).toMatch(/LAYER +LANGUAGE +PACKAGES +SIZE +MADE +USED$/)
    expect(lines[1]).toMatch(/^ +[0-9a-f]{12} +python +numpy 2\.5\.5, pandas 2\.2\.3 \+1 +\d+ kB +now +now$/)
    expect(lines[2]).toMatch(/javascript +@scope\/zod@\^4 +\d+ kB +now +2 d ago$/)
    const [first, ...more] = JSON.parse((await sbx(cache, 'cache', 'ls', '--json')).stdout)
    expect(more).toHaveLength(1)
    expect(first).toMatchObject({ kind: 'layer', key: layerKey(pandas), specs: pandas.packages, packages })
  })

  it.each([
    ['stay, where no image says otherwise', [], 2],
    ['go when they were not used for so long', ['--older-than', '1d'], 1],
    ['go when they take too much', ['--limit-mb', '0'], 0],
    ['go with all else', ['--all'], 0],
  ] as const)('%s', async (_what, options, left) => {
    await using cache = await makeCache()
    await makeLayers(cache)
    const { stdout } = await sbx(cache, 'cache', 'prune', ...options)
    expect(await readdir(cache.paths.layers)).toHaveLength(left)
    if (left < 2) expect(stdout).toMatch(/^0 templates and \d layers? removed, \d+ kB freed\.$/m)
  })

  it('take the templates along that were saved with them', async () => {
    await using cache = await makeCache()
    await cache.store().build(spec({ layer: 'a'.repeat(64) }), fill('a'), { signal: SIGNAL })
    await cache.store().build(spec(), fill('b'), { signal: SIGNAL })
    expect((await sbx(cache, 'cache', 'ls')).stdout).toContain('python +packages')
    expect((await sbx(cache, 'cache', 'prune')).stdout).toMatch(/^1 template removed/m)
    expect(await present(cache)).toEqual([templateKey(spec())])
  })
})

describe('what makes no sense', () => {
  it.each([
    [['prune', '--older-than', 'soon'], 'Expected a number with ms, s, m, h or d'],
    [['prune', '--older-than', '-1d'], 'Expected a number with ms, s, m, h or d'],
    [['prune', '--limit-mb', '1.5'], 'Expected a whole number of megabytes'],
    [['prune', '--limit-mb', '-1'], 'Expected a whole number of megabytes'],
    [['prune', '--all', '--older-than', '1d'], "option '--all' cannot be used with option '--older-than <age>'"],
    [['prune', '--all', '--limit-mb', '1'], "option '--all' cannot be used with option '--limit-mb <mb>'"],
    [['prune', 'python'], 'too many arguments'],
    [['ls', '--yaml'], "unknown option '--yaml'"],
    [['burn'], "unknown command 'burn'"],
    [[], 'Usage: sbx cache'],
  ])('cache %j is refused with exit code 2, and removes nothing', async (args, message) => {
    await using cache = await makeCache()
    await cache.store().build(spec(), fill('a'), { signal: SIGNAL })
    expect(await sbx(cache, 'cache', ...args)).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining(message),
    })
    expect(await present(cache)).toEqual([templateKey(spec())])
  })
})

describe('sbx doctor', () => {
  it('tells how many templates there are and whether some are unusable', async () => {
    await using cache = await makeCache()
    await makeTemplates(cache)
    const { stdout } = await sbx(cache, 'doctor', '--json')
    expect(factOf(stdout)).toMatchObject({ status: 'ok', detail: expect.stringMatching(/^3, 0 of them .* of at most/) })
    await rm(templatePaths(cache.paths, keyOf('bash')).manifest)
    expect(factOf((await sbx(cache, 'doctor', '--json')).stdout)).toMatchObject({
      status: 'warn',
      fix: 'sbx cache prune',
    })
  })
})

function factOf(report: string): unknown {
  const { facts }: { facts: { id: string }[] } = JSON.parse(report)
  return facts.find(({ id }) => id === 'templates')
}
