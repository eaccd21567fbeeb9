import { execFile } from 'node:child_process'
import { chmod, chown, lstat, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { templatePaths } from '../../src/host/index.ts'
import { templateKey } from '../../src/snapshot/index.ts'
import { cacheIn, FACTS, fill, makeCache, SIGNAL, spec } from './made-templates.ts'

const run = promisify(execFile)
const DIGESTED = 'digested in full'

describe('a template', () => {
  it('is built once, found by its key from any store, and holds what its builder wrote', async () => {
    await using cache = await makeCache()
    const built = await cache.store().build(spec(), fill('a'), { signal: SIGNAL })
    expect(built?.key).toBe(templateKey(spec()))
    const found = await cache.store().open(templateKey(spec()))
    expect(found).toEqual(built)
    expect(await readFile(found?.state ?? '', 'utf8')).toBe('state of a')
    expect((await lstat(found?.ram ?? '')).size).toBe(8 * 2 ** 20)
    expect(found?.manifest).toMatchObject({ qemuVersion: FACTS.qemuVersion, spec: { language: 'python' } })
    expect(await readdir(cache.paths.templates)).toEqual([built?.key])
    const again = await cache.store().build(spec(), () => expect.fail('built twice'), { signal: SIGNAL })
    expect(again).toEqual(built)
    expect(cache.lines.filter((line) => /WARN|digested/.test(line))).toEqual([])
  })

  it('belongs to its user again when it is published, cannot be written, and stands where nobody else may look', async () => {
    await using cache = await makeCache()
    const root = process.geteuid?.() === 0
    const uid = root ? 31_337 : (process.geteuid?.() ?? 0)
    const owners: number[] = []
    const make = async (files: Parameters<ReturnType<typeof fill>>[0]): ReturnType<ReturnType<typeof fill>> => {
      const facts = await fill('a')(files)
      for (const path of [files.ram, files.state]) {
        // As when root's QEMU, which has a uid of its own, is to write them.
        await chown(path, uid, process.getegid?.() ?? 0)
        owners.push((await lstat(path)).uid)
      }
      return facts
    }
    const built = await cache.store().build(spec(), make, { signal: SIGNAL })
    expect(owners).toEqual([uid, uid])
    for (const path of [built?.ram ?? '', built?.state ?? '']) {
      const { mode, uid: owner } = await lstat(path)
      expect({ mode: mode & 0o777, owner }).toEqual({ mode: 0o444, owner: process.geteuid?.() })
    }
    for (const path of [cache.paths.templates, built?.directory ?? '']) {
      expect((await lstat(path)).mode & 0o777).toBe(0o700)
    }
  })

  it('is opened without reading its RAM, until somebody touches it: then it is read once and stays good', async () => {
    await using cache = await makeCache()
    const built = await cache.store().build(spec(), fill('a'), { signal: SIGNAL })
    await cache.store().open(built?.key ?? '')
    expect(cache.lines.filter((line) => line.includes(DIGESTED))).toHaveLength(0)
    await utimes(built?.ram ?? '', new Date(0), new Date(0))
    expect(await cache.store().open(built?.key ?? '')).toEqual(built)
    expect(cache.lines.filter((line) => line.includes(DIGESTED))).toHaveLength(1)
    expect(await cache.store().open(built?.key ?? '')).toEqual(built)
    expect(cache.lines.filter((line) => line.includes(DIGESTED))).toHaveLength(1)
  })

  it.each([
    ['restart of the host', (stamp: object) => ({ ...stamp, bootId: 'an earlier boot' })],
    ['stamp that is none', () => 'nonsense'],
  ])('is read in full once after a %s', async (_name, change) => {
    await using cache = await makeCache()
    const built = await cache.store().build(spec(), fill('a'), { signal: SIGNAL })
    const { stamp } = templatePaths(cache.paths, built?.key ?? '')
    const text = JSON.stringify(change(JSON.parse(await readFile(stamp, 'utf8'))))
    await chmod(stamp, 0o644)
    await writeFile(stamp, text)
    const store = cache.store()
    const opened = await Promise.all(Array.from({ length: 50 }, async () => await store.open(built?.key ?? '')))
    expect(new Set(opened.map((template) => template?.key))).toEqual(new Set([built?.key]))
    expect(await cache.store().open(built?.key ?? '')).toEqual(built)
    expect(cache.lines.filter((line) => line.includes(DIGESTED))).toHaveLength(1)
  })

  it.each([
    ['with its holes', '--sparse=always'],
    ['without its holes', '--sparse=never'],
  ])('is good in a copied cache, %s, after it was read in full', async (_name, sparse) => {
    await using cache = await makeCache()
    await using other = await makeCache()
    const built = await cache.store().build(spec(), fill('a'), { signal: SIGNAL })
    await run('cp', ['-a', sparse, cache.paths.cacheDir, other.paths.cacheDir])
    const found = await other.store().open(built?.key ?? '')
    expect(found?.manifest).toEqual(built?.manifest)
    expect(other.lines.filter((line) => line.includes(DIGESTED))).toHaveLength(1)
  })

  it('is not found in a cache without templates, nor by another key', async () => {
    await using cache = await makeCache()
    expect(await cache.store().open(templateKey(spec()))).toBeUndefined()
    await cache.store().build(spec(), fill('a'), { signal: SIGNAL })
    expect(await cache.store().open(templateKey(spec({ memoryMb: 16 })))).toBeUndefined()
    expect(await cacheIn(join(cache.paths.cacheDir, 'none')).store().list()).toEqual([])
  })

  it('that nobody can use is discarded, but not the one that was built since', async () => {
    await using cache = await makeCache()
    const store = cache.store()
    const first = await store.build(spec(), fill('a'), { signal: SIGNAL })
    await store.discard(first ?? expect.fail(), 'QEMU would not load it')
    expect(await store.open(first?.key ?? '')).toBeUndefined()
    const second = await store.build(spec(), fill('b'), { signal: SIGNAL })
    await store.discard(first ?? expect.fail(), 'told late')
    expect(await store.open(first?.key ?? '')).toEqual(second)
    await store.discard(second ?? expect.fail(), 'again')
    await store.discard(second ?? expect.fail(), 'and again')
    expect(await readdir(cache.paths.templates)).toEqual([])
  })
})

describe('a build', () => {
  it('that fails leaves nothing, tells its own error, and the next one succeeds', async () => {
    await using cache = await makeCache()
    const store = cache.store()
    const broken = new Error('the guest did not boot')
    const make = async (files: Parameters<ReturnType<typeof fill>>[0]): Promise<never> => {
      await fill('half')(files)
      throw broken
    }
    await expect(store.build(spec(), make, { signal: SIGNAL })).rejects.toBe(broken)
    expect(await readdir(cache.paths.templates)).toEqual([])
    expect(await store.build(spec(), fill('a'), { signal: SIGNAL })).toBeDefined()
  })

  it('that saved no state is no template', async () => {
    await using cache = await makeCache()
    const make = async (): Promise<typeof FACTS> => FACTS
    expect(await cache.store().build(spec(), make, { signal: SIGNAL })).toBeUndefined()
    expect(cache.lines.join('\n')).toContain('the file of the state is empty')
    expect(await readdir(cache.paths.templates)).toEqual([])
  })

  it('is joined by others of the same store; who joins an aborted one builds for himself', async () => {
    await using cache = await makeCache()
    const store = cache.store()
    const giveUp = new AbortController()
    let made = 0
    const first = store.build(
      spec(),
      async () => {
        made += 1
        giveUp.abort(new Error('no longer wanted'))
        throw new Error('stopped')
      },
      { signal: giveUp.signal },
    )
    const joined = store.build(
      spec(),
      async (files) => {
        made += 1
        return await fill('b')(files)
      },
      { signal: SIGNAL },
    )
    const also = store.build(spec(), () => expect.fail('built a third time'), { signal: SIGNAL })
    await expect(first).rejects.toMatchObject({ code: 'ABORTED' })
    expect((await joined)?.key).toBe(templateKey(spec()))
    expect(await also).toEqual(await joined)
    expect(made).toBe(2)
  })

  it('ends a wait for it at the signal of the one who waits', async () => {
    await using cache = await makeCache()
    const store = cache.store()
    const giveUp = new AbortController()
    let goOn: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const first = store.build(
      spec(),
      async (files) => {
        await held
        return await fill('a')(files)
      },
      { signal: SIGNAL },
    )
    const waiting = store.build(spec(), () => expect.fail('not this one'), { signal: giveUp.signal })
    giveUp.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
    goOn()
    expect(await first).toBeDefined()
  })
})

describe('opening', () => {
  it('throws for an aborted call alone, and others who wait for the same template get it', async () => {
    await using cache = await makeCache()
    const built = await cache.store().build(spec(), fill('a'), { signal: SIGNAL })
    await utimes(built?.ram ?? '', new Date(0), new Date(0))
    const store = cache.store()
    const giveUp = new AbortController()
    const first = store.open(built?.key ?? '', { signal: giveUp.signal })
    const second = store.open(built?.key ?? '')
    giveUp.abort()
    await expect(first).rejects.toMatchObject({ code: 'ABORTED' })
    expect(await second).toEqual(built)
    await expect(store.open(built?.key ?? '', { signal: giveUp.signal })).rejects.toMatchObject({ code: 'ABORTED' })
  })
})

describe('a limit of 0', () => {
  it('saves none, and leaves those alone that others have saved', async () => {
    await using cache = await makeCache()
    const built = await cache.store().build(spec(), fill('a'), { signal: SIGNAL })
    const store = cache.store({ limitBytes: 0 })
    const neverCalled = async (): Promise<never> => expect.fail('nothing is to be built')
    expect(await store.build(spec({ memoryMb: 16 }), neverCalled, { signal: SIGNAL })).toBeUndefined()
    expect(await store.build(spec(), neverCalled, { signal: SIGNAL })).toEqual(built)
    expect(await store.list()).toHaveLength(1)
  })
})

describe('reading ahead', () => {
  /** Bytes that this process has read so far, from wherever (proc_pid_io(5)). */
  async function bytesRead(): Promise<number> {
    return Number(/^rchar: (\d+)$/m.exec(await readFile('/proc/self/io', 'utf8'))?.[1])
  }

  it('reads the chunks that hold something, once per process, and fails nobody', async () => {
    await using cache = await makeCache()
    const built = await cache.store().build(spec(), fill('a'), { signal: SIGNAL })
    const template = built ?? expect.fail()
    const store = cache.store()
    const before = await bytesRead()
    await store.readAhead(template)
    const after = await bytesRead()
    // Three chunks of a MiB out of eight; a little else may be read meanwhile.
    expect((after - before) / 2 ** 20).toBeGreaterThanOrEqual(3)
    expect((after - before) / 2 ** 20).toBeLessThan(4)
    await store.readAhead(template)
    expect(((await bytesRead()) - after) / 2 ** 20).toBeLessThan(1)
    await cache.store().discard(template, 'of no use')
    await expect(cache.store().readAhead(template)).resolves.toBeUndefined()
    await expect(cache.store().readAhead(template, { signal: AbortSignal.abort() })).resolves.toBeUndefined()
  })
})
