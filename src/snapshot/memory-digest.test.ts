import { createHash } from 'node:crypto'
import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CHUNK_BYTES, digestMemory } from './memory-digest.ts'

let path: string
beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'memory-digest-')), 'ram')
})
afterEach(async () => await rm(join(path, '..'), { recursive: true }))

/** A sparse file with a few bytes at each of the places. */
async function sparse(chunks: number, places: Readonly<Record<number, string>>): Promise<void> {
  await writeFile(path, '')
  await truncate(path, chunks * CHUNK_BYTES)
  const file = await open(path, 'r+')
  for (const [at, text] of Object.entries(places)) await file.write(text, Number(at))
  await file.close()
}

const digest = async (): Promise<string> => (await digestMemory(path)).sha256

describe('digestMemory', () => {
  it('is the digest that its documentation says', async () => {
    await sparse(4, { [CHUNK_BYTES + 5]: 'one', [4 * CHUNK_BYTES - 3]: 'two' })
    const hash = createHash('sha256')
    for (const [index, at, text] of [
      [1, 5, 'one'],
      [3, CHUNK_BYTES - 3, 'two'],
    ] as const) {
      const chunk = Buffer.alloc(CHUNK_BYTES)
      chunk.write(text, at)
      const number = Buffer.alloc(8)
      number.writeUInt32LE(index)
      hash.update(number).update(chunk)
    }
    expect(await digestMemory(path)).toEqual({
      sha256: hash.digest('hex'),
      chunks: [
        [1, 1],
        [3, 1],
      ],
    })
  })

  it('tells apart the same bytes at other places', async () => {
    await sparse(8, { [2 * CHUNK_BYTES]: 'x' })
    const here = await digest()
    await sparse(8, { [3 * CHUNK_BYTES]: 'x' })
    const there = await digest()
    await sparse(8, { [2 * CHUNK_BYTES + 1]: 'x' })
    expect(new Set([here, there, await digest()]).size).toBe(3)
  })

  it('joins neighbouring chunks, and reading the chunks it found gives the same digest', async () => {
    await sparse(10, {
      0: 'a',
      [CHUNK_BYTES]: 'b',
      [2 * CHUNK_BYTES]: 'c',
      [7 * CHUNK_BYTES]: 'd',
      [9 * CHUNK_BYTES]: 'e',
    })
    const all = await digestMemory(path)
    expect(all.chunks).toEqual([
      [0, 3],
      [7, 1],
      [9, 1],
    ])
    expect(await digestMemory(path, { chunks: all.chunks })).toEqual(all)
    // Given its chunks, it reads through the page cache; without, past it.
    expect(await digestMemory(path, { chunks: [[0, 10]] })).toEqual(all)
    expect((await digestMemory(path, { chunks: [[0, 3]] })).sha256).not.toBe(all.sha256)
  })

  it('digests an end that is no whole chunk, and a file of nothing but holes', async () => {
    await writeFile(path, Buffer.alloc(CHUNK_BYTES + 10, 7))
    const whole = await digestMemory(path)
    expect(whole.chunks).toEqual([[0, 2]])
    await truncate(path, CHUNK_BYTES + 9)
    expect(await digest()).not.toBe(whole.sha256)
    await sparse(3, {})
    expect(await digestMemory(path)).toEqual({ sha256: createHash('sha256').digest('hex'), chunks: [] })
  })

  it('ends at its signal', async () => {
    await sparse(2, { 0: 'a' })
    await expect(digestMemory(path, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' })
  })
})
