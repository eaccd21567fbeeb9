import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import type { EntryManifest } from './entry-manifest.ts'
import { FRAME_BYTES } from './frame.ts'
import { unpackLayer } from './unpack-layer.ts'
import { packFrame } from './zstd.ts'

function manifestOf(layer: Uint8Array, frames: readonly Uint8Array[]): EntryManifest {
  const packed = Buffer.concat(frames)
  const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
  return {
    format: 1,
    key: '0123456789abcdef0123',
    createdAt: '2026-11-26T05:00:00.000Z',
    layer: { sha256: sha256(layer), bytes: layer.byteLength },
    packed: {
      sha256: sha256(packed),
      bytes: packed.byteLength,
      frames: frames.map(({ byteLength }) => byteLength),
    },
    own: {},
  }
}

test('other work comes in between the frames, though thousands of them fit into one chunk', async () => {
  const count = 200
  const frames = Array.from({ length: count }, () => packFrame(Buffer.alloc(FRAME_BYTES)))
  const layer = Buffer.alloc(count * FRAME_BYTES)
  const chunk = Buffer.concat(frames)
  expect(chunk.byteLength).toBeLessThan(65_536)
  const directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-unpack-'))
  try {
    const file = join(directory, 'layer')
    let turns = 0
    let between = 0
    let unpacking = true
    const turn = (): void => {
      turns += 1
      if (unpacking) setImmediate(turn)
    }
    turn()
    // Asked for more only when all frames of its one chunk have been unpacked, with no input and no output in between.
    const body = {
      async *[Symbol.asyncIterator]() {
        const before = turns
        yield chunk
        between = turns - before
      },
      destroy: () => undefined,
    } as unknown as Readable
    await unpackLayer(body, { manifest: manifestOf(layer, frames), file, onBytes: () => undefined })
    unpacking = false
    expect(between).toBeGreaterThanOrEqual(count)
    expect((await readFile(file)).equals(layer)).toBe(true)
  } finally {
    await rm(directory, { recursive: true })
  }
})
