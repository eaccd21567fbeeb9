import { chmod, readdir, rm, utimes } from 'node:fs/promises'
import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { templatePaths } from '../../src/host/index.ts'
import { templateKey } from '../../src/snapshot/index.ts'
import { fill, makeCache, SIGNAL, spec, type TestCache } from './made-templates.ts'
import { runStore, startStore, type StepResult } from './store-process.ts'

const KEY = templateKey(spec())
const directoryOf = (cache: TestCache): string => dirname(cache.paths.cacheDir)
const warnings = (result: StepResult | undefined): readonly string[] =>
  (result?.lines ?? []).filter((line) => line.includes('WARN'))
const names = async (cache: TestCache): Promise<readonly string[]> => await readdir(cache.paths.templates)

describe('two processes that want the same template', () => {
  it('build it once: the other one waits and finds it', async () => {
    await using cache = await makeCache()
    const directory = directoryOf(cache)
    await using first = await startStore({ directory, steps: [{ do: 'build', spec: spec(), wait: true }] })
    expect(await first.line()).toBe('making')
    const second = cache.store().build(spec(), () => expect.fail('built twice'), { signal: SIGNAL })
    await using third = await startStore({ directory, steps: [{ do: 'build', spec: spec() }] })
    first.goOn()
    expect(await first.results()).toMatchObject([{ key: KEY, made: 1 }])
    expect((await second)?.key).toBe(KEY)
    expect(await third.results()).toMatchObject([{ key: KEY, made: 0 }])
    expect(await names(cache)).toEqual([KEY])
  })

  it('go on when the one that builds is killed: what it left is removed', async () => {
    await using cache = await makeCache()
    await using first = await startStore({
      directory: directoryOf(cache),
      steps: [{ do: 'build', spec: spec(), wait: true }],
    })
    expect(await first.line()).toBe('making')
    const second = cache.store().build(spec(), fill('a'), { signal: SIGNAL })
    expect(await names(cache)).toEqual([expect.stringMatching(/^tmp-/)])
    first.process.kill('SIGKILL')
    expect((await second)?.key).toBe(KEY)
    expect(await names(cache)).toEqual([KEY])
    expect(cache.lines.join('\n')).toContain('what dead builders of templates had left was removed')
  })

  it('end a wait at the signal of the one who waits, and the builder is not disturbed', async () => {
    await using cache = await makeCache()
    await using first = await startStore({
      directory: directoryOf(cache),
      steps: [{ do: 'build', spec: spec(), wait: true }],
    })
    expect(await first.line()).toBe('making')
    const giveUp = new AbortController()
    const second = cache.store().build(spec(), () => expect.fail('built twice'), { signal: giveUp.signal })
    giveUp.abort()
    await expect(second).rejects.toMatchObject({ code: 'ABORTED' })
    first.goOn()
    expect(await first.results()).toMatchObject([{ key: KEY, made: 1 }])
  })
})

describe('what stands in the way of nobody', () => {
  it('the work of a builder that lives is not swept by one of another template, nor pruned', async () => {
    await using cache = await makeCache()
    await using first = await startStore({
      directory: directoryOf(cache),
      steps: [{ do: 'build', spec: spec(), wait: true }],
    })
    expect(await first.line()).toBe('making')
    const store = cache.store()
    const other = await store.build(spec({ language: 'bash' }), fill('b'), { signal: SIGNAL })
    expect((await store.prune((all) => all)).removed.map(({ key }) => key)).toEqual([other?.key])
    first.goOn()
    expect(await first.results()).toMatchObject([{ key: KEY, made: 1 }])
    expect(await names(cache)).toEqual([KEY])
  })

  it('the work of a killed builder goes with the next build of any template, or a prune', async () => {
    await using cache = await makeCache()
    const killed = async (): Promise<void> => {
      await using first = await startStore({
        directory: directoryOf(cache),
        steps: [{ do: 'build', spec: spec(), wait: true }],
      })
      expect(await first.line()).toBe('making')
    }
    await killed()
    const other = await cache.store().build(spec({ language: 'bash' }), fill('b'), { signal: SIGNAL })
    expect(await names(cache)).toEqual([other?.key])
    await killed()
    expect((await names(cache)).length).toBe(2)
    const { removed } = await cache.store().prune(() => [])
    expect(removed).toEqual([])
    expect(await names(cache)).toEqual([other?.key])
  })
})

describe('a cache that cannot be written', () => {
  async function useAndBuild(cache: TestCache, bubblewrap: readonly string[]): Promise<readonly StepResult[]> {
    return await runStore({
      directory: directoryOf(cache),
      bubblewrap,
      steps: [
        { do: 'open', key: KEY },
        { do: 'open', key: KEY },
        { do: 'build', spec: spec({ language: 'bash' }) },
        { do: 'build', spec: spec({ language: 'javascript' }) },
      ],
    })
  }

  function expectUseWithoutBuilds(results: readonly StepResult[], code: RegExp): void {
    const [first, second, build, again] = results
    expect(first?.key).toBe(KEY)
    expect(first?.lines.join()).toContain('digested in full')
    expect(second).toEqual({ key: KEY, keys: [KEY], lines: [] })
    expect(build).toMatchObject({ made: 0, keys: [KEY] })
    expect(warnings(build)).toEqual([expect.stringMatching(code)])
    expect(again).toMatchObject({ made: 0, keys: [KEY] })
    expect(warnings(again)).toEqual([])
  }

  it('because it is mounted read-only: its templates are used, none is saved, and that is told once', async () => {
    await using cache = await makeCache()
    const built = await cache.store().build(spec(), fill('a'), { signal: SIGNAL })
    // Touched, so that it has to be read in full; the stamp cannot be renewed.
    await utimes(built?.ram ?? '', new Date(0), new Date(0))
    const directory = directoryOf(cache)
    expectUseWithoutBuilds(await useAndBuild(cache, ['--ro-bind', directory, directory]), /EROFS/)
  })

  it('because its permissions forbid it: the same', async () => {
    await using cache = await makeCache()
    const built = await cache.store().build(spec(), fill('a'), { signal: SIGNAL })
    await utimes(built?.ram ?? '', new Date(0), new Date(0))
    const directories = [built?.directory ?? '', cache.paths.templates, cache.paths.locks]
    for (const path of directories) await chmod(path, 0o500)
    try {
      // Without its capabilities root is bound by permissions, too.
      expectUseWithoutBuilds(await useAndBuild(cache, ['--cap-drop', 'ALL']), /EACCES/)
    } finally {
      for (const path of directories) await chmod(path, 0o700)
    }
  })

  it('holds a damaged template: it is not used, and that is told once', async () => {
    await using cache = await makeCache()
    const built = await cache.store().build(spec(), fill('a'), { signal: SIGNAL })
    await rm(built?.state ?? '')
    const directory = directoryOf(cache)
    const steps = [
      { do: 'open', key: KEY },
      { do: 'open', key: KEY },
    ] as const
    const [first, second] = await runStore({ directory, bubblewrap: ['--ro-bind', directory, directory], steps })
    expect(first).toMatchObject({ keys: [KEY] })
    expect(first).not.toHaveProperty('key')
    expect(warnings(first)).toEqual([expect.stringMatching(/damaged.*ENOENT/), expect.stringMatching(/cannot.*EROFS/)])
    expect(warnings(second)).toEqual([])
  })
})

describe('a template whose files cannot be read', () => {
  it.each(['ram', 'state', 'manifest'] as const)('(%s) is removed', async (file) => {
    await using cache = await makeCache()
    const built = await cache.store().build(spec(), fill('a'), { signal: SIGNAL })
    await chmod(templatePaths(cache.paths, built?.key ?? '')[file], 0)
    const steps = [{ do: 'open', key: KEY }] as const
    const [result] = await runStore({ directory: directoryOf(cache), bubblewrap: ['--cap-drop', 'ALL'], steps })
    expect(result).toMatchObject({ keys: [], lines: [expect.stringMatching(/damaged.*EACCES/)] })
  })
})
