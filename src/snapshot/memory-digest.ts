import { createHash } from 'node:crypto'
import { constants, type FileHandle, open } from 'node:fs/promises'
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
  const { signal, chunks } = options
  const buffer = alignedBuffer()
  await using file = (chunks === undefined ? await openPastCache(path, buffer) : undefined) ?? (await open(path))
  const ranges = chunks ?? [[0, Math.ceil((await file.stat()).size / CHUNK_BYTES)]]
  for (const [first, count] of ranges) {
    for (let index = first; index < first + count; index += 1) {
      throwIfAborted(signal)
      const length = await readChunk(file, buffer, index)
      onChunk(index, buffer.subarray(0, length))
      if (length < CHUNK_BYTES) break
    }
  }
}

/** What O_DIRECT wants of places, lengths and addresses at most (open(2): the block size of the file system). */
const PAGE_BYTES = 4096

/** A buffer at the beginning of a page: memory that may be resized is mapped, not taken from the heap. */
function alignedBuffer(): Buffer {
  return Buffer.from(new ArrayBuffer(CHUNK_BYTES, { maxByteLength: CHUNK_BYTES }))
}

/**
 * Opens a file to be read with all its holes, without the page cache, which would be given a page of zeros for each page of
 * a hole: gigabytes, for a large VM. Undefined where that is not possible.
 */
async function openPastCache(path: string, buffer: Buffer): Promise<FileHandle | undefined> {
  let file: FileHandle | undefined
  try {
    file = await open(path, constants.O_RDONLY | constants.O_DIRECT)
    if ((await file.stat()).size % PAGE_BYTES === 0) {
      // A file system without it refuses here or at the opening.
      await file.read(buffer, 0, CHUNK_BYTES, 0)
      return file
    }
  } catch {
    // The ordinary way tells what is wrong, if anything is.
  }
  await file?.close()
  return undefined
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
