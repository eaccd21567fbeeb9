import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { throwIfAborted } from '../base/index.ts'
import { FRAME_BYTES } from './frame.ts'
import { StoreFailure } from './store-failure.ts'

/** A file and what it should hold. */
export interface LayerFile {
  readonly file: string
  readonly sha256: string
  readonly bytes: number
}

/** Bytes that are read for an upload at a time. */
const CHUNK_BYTES = 256 * 1024

/** A layer compressed: a file without a name, which is gone when it is disposed of or the process dies. */
export class PackedLayer implements AsyncDisposable {
  readonly sha256: string
  readonly bytes: number
  /** Bytes of each of its zstd frames. */
  readonly frames: readonly number[]
  readonly #file: FileHandle

  constructor(file: FileHandle, facts: { readonly sha256: string; readonly frames: readonly number[] }) {
    this.#file = file
    this.sha256 = facts.sha256
    this.frames = facts.frames
    this.bytes = facts.frames.reduce((sum, bytes) => sum + bytes, 0)
  }

  /** Its bytes from the beginning. `onBytes` is told what has been taken. */
  read(onBytes: (bytes: number) => void): Readable {
    return Readable.from(this.#chunks(onBytes), { objectMode: false, highWaterMark: CHUNK_BYTES })
  }

  async *#chunks(onBytes: (bytes: number) => void): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < this.bytes; ) {
      const { buffer, bytesRead } = await this.#file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, at)
      if (bytesRead === 0) throw new StoreFailure('local', 'a packed layer became shorter')
      at += bytesRead
      onBytes(bytesRead)
      yield buffer.subarray(0, bytesRead)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}

/**
 * Compresses a layer into a file in `directory`, frame by frame, while other work of the process goes on between frames.
 * @throws StoreFailure when the file does not hold what it should: damage of one host is not spread to others
 */
export async function packLayer(
  layer: LayerFile,
  options: { readonly directory: string; readonly signal: AbortSignal },
): Promise<PackedLayer> {
  const { packFrame } = await import('./zstd.ts')
  await using source = await open(layer.file, 'r')
  await mkdir(options.directory, { recursive: true, mode: 0o700 })
  const path = join(options.directory, `upload-${randomBytes(8).toString('hex')}`)
  const target = await open(path, 'wx+', 0o600)
  try {
    await unlink(path)
    const digests = { layer: createHash('sha256'), packed: createHash('sha256') }
    const frames: number[] = []
    let bytes = 0
    for (let wanted = layer.bytes; wanted > 0; wanted = layer.bytes - bytes) {
      throwIfAborted(options.signal)
      const content = await readFully(source, Math.min(FRAME_BYTES, wanted), bytes)
      bytes += content.byteLength
      digests.layer.update(content)
      const frame = packFrame(content)
      digests.packed.update(frame)
      frames.push(frame.byteLength)
      await target.writeFile(frame)
    }
    const { size } = await source.stat()
    const sha256 = digests.layer.digest('hex')
    if (size !== layer.bytes || sha256 !== layer.sha256) {
      throw new StoreFailure('local', `a layer is not what its manifest says: ${size} bytes, ${sha256}`)
    }
    return new PackedLayer(target, { sha256: digests.packed.digest('hex'), frames })
  } catch (error) {
    await target.close()
    throw error
  }
}

async function readFully(file: FileHandle, bytes: number, position: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(bytes)
  for (let filled = 0; filled < bytes; ) {
    const { bytesRead } = await file.read(buffer, filled, bytes - filled, position + filled)
    if (bytesRead === 0) throw new StoreFailure('local', 'a layer is shorter than its manifest says')
    filled += bytesRead
  }
  return buffer
}
