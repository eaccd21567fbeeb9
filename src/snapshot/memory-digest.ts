import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { throwIfAborted } from '../base/index.ts'

/** Consecutive chunks: number of the first, and how many. */
export type ChunkRange = readonly [first: number, count: number]

/**
 * Bytes of a chunk. Chunks that are all zero are found by comparing, ten times as fast as digesting; smaller ones would
 * skip hardly more (docs/snapshots.md has the measurement).
 */
export const CHUNK_BYTES = 2 ** 20

const ZEROS = Buffer.alloc(CHUNK_BYTES)

export interface MemoryDigest {
  /**
   * SHA-256, in hex, over every chunk that is not all zero, in order: its number as 8 bytes, little endian, then its bytes.
   * The file's size is not part of it and is compared beside it.
   */
  readonly sha256: string
  /** The chunks that are not all zero. */
  readonly chunks: readonly ChunkRange[]
}

export interface MemoryDigestOptions {
  readonly signal?: AbortSignal | undefined
  /** The only chunks to read. @default all of the file */
  readonly chunks?: readonly ChunkRange[]
}

/** Digests a RAM file. What lies in no chunk that is read counts as zero. */
export async function digestMemory(path: string, options: MemoryDigestOptions = {}): Promise<MemoryDigest> {
  const hash = createHash('sha256')
  const number = Buffer.alloc(8)
  const found: [number, number][] = []
  await readChunks(path, options, (index, bytes) => {
    if (bytes.equals(ZEROS.subarray(0, bytes.length))) return
    number.writeBigUInt64LE(BigInt(index))
    hash.update(number).update(bytes)
    const last = found.at(-1)
    if (last !== undefined && last[0] + last[1] === index) last[1] += 1
    else found.push([index, 1])
  })
  return { sha256: hash.digest('hex'), chunks: found }
}

/** Reads chunks one after the other and throws their bytes away: the host's page cache holds them afterwards. */
export async function readAhead(path: string, options: Required<MemoryDigestOptions>): Promise<void> {
  await readChunks(path, options, () => undefined)
}

async function readChunks(
  path: string,
  options: MemoryDigestOptions,
  onChunk: (index: number, bytes: Buffer) => void,
): Promise<void> {
  const { signal } = options
  await using file = await open(path)
  const ranges = options.chunks ?? [[0, Math.ceil((await file.stat()).size / CHUNK_BYTES)]]
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  for (const [first, count] of ranges) {
    for (let index = first; index < first + count; index += 1) {
      throwIfAborted(signal)
      const length = await readChunk(file, buffer, index)
      onChunk(index, buffer.subarray(0, length))
      if (length < CHUNK_BYTES) break
    }
  }
}

/** Fills the buffer with a chunk; the number of bytes is smaller at the end of the file alone. */
async function readChunk(file: FileHandle, buffer: Buffer, index: number): Promise<number> {
  let length = 0
  while (length < CHUNK_BYTES) {
    const { bytesRead } = await file.read(buffer, length, CHUNK_BYTES - length, index * CHUNK_BYTES + length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return length
}
