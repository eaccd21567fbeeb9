import { execFileSync } from 'node:child_process'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BlockWriter, readBlocks } from './host-file.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'host-file-'))
})
afterAll(async () => await rm(directory, { recursive: true, force: true }))

const content = Buffer.from(Array.from({ length: 1_000_003 }, (_, index) => (index * 7) % 251))

describe('readBlocks', () => {
  test.each([0, 1, 262_144, 1_000_003])('gives a file of %i bytes in order', async (length) => {
    const path = join(directory, 'source')
    await writeFile(path, content.subarray(0, length))
    const read: Buffer[] = []
    for await (const block of readBlocks(path)) read.push(Buffer.from(block))
    expect(Buffer.concat(read).equals(content.subarray(0, length))).toBe(true)
  })

  test('a consumer that leaves takes nothing with it', async () => {
    const path = join(directory, 'source')
    await writeFile(path, content)
    for await (const block of readBlocks(path)) {
      expect(block.byteLength).toBeGreaterThan(0)
      break
    }
  })

  test('a consumer that leaves does not wait for a pipe that says nothing more', async () => {
    const path = join(directory, 'pipe')
    execFileSync('mkfifo', [path])
    await using writer = await open(path, 'r+')
    const blocks = readBlocks(path)
    await writer.write('something')
    expect(Buffer.from((await blocks.next()).value ?? []).toString()).toBe('something')
    await blocks.return()
    // So that the read ahead ends.
    await writer.write('more')
  })

  test('tells why a file cannot be read', async () => {
    await expect(readBlocks(join(directory, 'absent')).next()).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(readBlocks(directory).next()).rejects.toMatchObject({ code: 'EISDIR' })
  })
})

describe('BlockWriter', () => {
  test.each([1_000_003, 262_144, 32_756, 4_099])('writes pieces of %i bytes in order', async (size) => {
    const path = join(directory, 'target')
    await using file = await open(path, 'w')
    const writer = new BlockWriter(file)
    // The piece is the same memory again and again, as a reader of the channel may see it.
    const piece = Buffer.alloc(size)
    for (let at = 0; at < content.byteLength; at += size) {
      const length = content.copy(piece, 0, at)
      await writer.write(piece.subarray(0, length))
    }
    await writer.finish()
    expect((await readFile(path)).equals(content)).toBe(true)
  })

  test('rejects with what went wrong, at a later piece or at the end', async () => {
    await using full = await open('/dev/full', 'w')
    const early = new BlockWriter(full)
    await early.write(content.subarray(0, 300_000))
    await expect(early.write(content.subarray(0, 300_000))).rejects.toMatchObject({ code: 'ENOSPC' })
    const late = new BlockWriter(full)
    await late.write(Buffer.from('x'))
    await expect(late.finish()).rejects.toMatchObject({ code: 'ENOSPC' })
  })
})
