import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { writeFileAtomic, writeJsonAtomic } from './atomic-file.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'atomic-file-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true })
})

describe('writeFileAtomic', () => {
  it('makes the directory, sets the mode and leaves nothing else behind', async () => {
    const path = join(directory, 'a/b/file')
    await writeFileAtomic(path, 'content', { mode: 0o600 })
    expect(await readFile(path, 'utf8')).toBe('content')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(join(directory, 'a/b'))).toEqual(['file'])
  })

  it('shows readers one whole version while many write', async () => {
    const path = join(directory, 'file')
    const versions = Array.from({ length: 20 }, (_, index) => String(index % 10).repeat(100_000))
    await writeFileAtomic(path, versions[0] ?? '')
    const writes = Promise.all(versions.map(async (version) => await writeFileAtomic(path, version)))
    for (let reads = 0; reads < 50; reads += 1) expect(versions).toContain(await readFile(path, 'utf8'))
    await writes
    expect(await readdir(directory)).toEqual(['file'])
  })

  it('removes its temporary file when it fails', async () => {
    await writeFileAtomic(join(directory, 'taken/inside'), '')
    await expect(writeFileAtomic(join(directory, 'taken'), 'x')).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/)
    expect(await readdir(directory)).toEqual(['taken'])
  })
})

describe('writeJsonAtomic', () => {
  it('writes a line-ended text that parses to the value', async () => {
    const path = join(directory, 'value.json')
    await writeJsonAtomic(path, { a: [1, 'two'] })
    const text = await readFile(path, 'utf8')
    expect(text.endsWith('}\n')).toBe(true)
    expect(JSON.parse(text)).toEqual({ a: [1, 'two'] })
  })
})
