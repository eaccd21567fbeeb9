import { lstat, readdir, readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { templateKey } from '../../src/snapshot/index.ts'
import { FACTS, fill, makeCache, SIGNAL, spec } from './made-templates.ts'

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
    expect(cache.lines.filter((line) => line.includes('WARN'))).toEqual([])
  })
})
