import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EntryManifest } from './entry-manifest.ts'
import { FRAME_BYTES } from './frame.ts'
import { NewFile } from './new-file.ts'
import { StoreFailure } from './store-failure.ts'

const ZEROS = Buffer.alloc(FRAME_BYTES)

/**
 * Writes the layer that `body` holds packed to a new file. Every byte of it is the store's word: nothing is read past what
 * the manifest says, nothing unpacked that is larger, and the file has content afterwards only if its digest is the right
 * one. What is zero all over a frame becomes a hole.
 * @param file path of the file: missing, or there and empty, which it then is again when this fails
 * @param onBytes is told how many packed bytes have come
 */
export async function unpackLayer(
  body: Readable,
  options: { readonly manifest: EntryManifest; readonly file: string; readonly onBytes: (bytes: number) => void },
): Promise<void> {
  try {
    await using target = await NewFile.open(options.file)
    await unpackInto(target, body, options)
    await target.keep(options.manifest.layer.bytes)
  } finally {
    body.destroy()
  }
}

async function unpackInto(
  target: NewFile,
  body: Readable,
  options: { readonly manifest: EntryManifest; readonly onBytes: (bytes: number) => void },
): Promise<void> {
  const { layer, packed } = options.manifest
  const { unpackFrame } = await import('./zstd.ts')
  const digest = createHash('sha256')
  let at = 0
  for await (const frame of framesOf(body, packed.frames, options.onBytes)) {
    const content = unpackFrame(frame, Math.min(FRAME_BYTES, layer.bytes - at))
    if (content === undefined) throw new StoreFailure('lying', 'a frame of a layer is damaged')
    digest.update(content)
    if (!ZEROS.subarray(0, content.byteLength).equals(content)) await target.write(content, at)
    // Thousands of empty frames fit into one chunk of the network: other work comes in between.
    else await nextTurn()
    at += content.byteLength
  }
  if (digest.digest('hex') !== layer.sha256) {
    throw new StoreFailure('lying', 'a layer has another digest than its manifest')
  }
}

/** The frames of a body, of the sizes that are expected and of nothing else. */
async function* framesOf(
  body: Readable,
  sizes: readonly number[],
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let index = 0
  let frame = Buffer.allocUnsafe(sizes[0] ?? 0)
  let filled = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    onBytes(chunk.byteLength)
    for (let at = 0; at < chunk.byteLength; ) {
      if (index === sizes.length) throw new StoreFailure('lying', 'a layer is longer than its manifest says')
      const taken = Math.min(chunk.byteLength - at, frame.byteLength - filled)
      chunk.copy(frame, filled, at, at + taken)
      filled += taken
      at += taken
      if (filled < frame.byteLength) continue
      yield frame
      index += 1
      frame = Buffer.allocUnsafe(sizes[index] ?? 0)
      filled = 0
    }
  }
  if (index < sizes.length) throw new StoreFailure('lying', 'a layer is shorter than its manifest says')
}
