import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type EntryManifest,
  LARGEST_LAYER_BYTES,
  LARGEST_MANIFEST_BYTES,
  parseEntryManifest,
  renderEntryManifest,
} from './entry-manifest.ts'
import { FRAME_BYTES, LARGEST_PACKED_FRAME_BYTES } from './frame.ts'

const KEY = '0123456789abcdef0123'

function manifest(bytes: number, own: Record<string, unknown> = {}): Omit<EntryManifest, 'format'> {
  const frames = Array.from({ length: Math.ceil(bytes / FRAME_BYTES) }, (_, index) => 1 + (index % 5_000))
  return {
    key: KEY,
    createdAt: '2026-11-26T05:00:00.000Z',
    layer: { sha256: 'a'.repeat(64), bytes },
    packed: { sha256: 'b'.repeat(64), bytes: frames.reduce((sum, count) => sum + count, 0), frames },
    own,
  }
}

describe('the manifest of an entry', () => {
  it('is read as it was written, for every size of layer', () => {
    const name = fc.string({ maxLength: 20 }).filter((text) => text !== '__proto__')
    const own = fc.dictionary(name, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 5 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 * FRAME_BYTES }), own, (bytes, value) => {
        const parts = manifest(bytes, JSON.parse(JSON.stringify(value)) as Record<string, unknown>)
        const text = renderEntryManifest(parts)
        const parsed = parseEntryManifest(text, KEY)
        expect(parsed.ok && JSON.stringify(parsed.manifest)).toBe(JSON.stringify({ format: 1, ...parts }))
      }),
    )
  })

  it('has no prototype of a stranger', () => {
    const text = renderEntryManifest(manifest(1, { packages: [] })).replace(
      '"own":{',
      '"own":{"__proto__":{"admin":true},',
    )
    const parsed = parseEntryManifest(text, KEY)
    expect(parsed.ok && parsed.manifest.own).toEqual({ packages: [] })
    expect(parsed.ok && Object.getPrototypeOf(parsed.manifest.own)).toBe(Object.prototype)
  })

  it('of the largest layer is small enough to be read', () => {
    const parts = manifest(LARGEST_LAYER_BYTES, { text: 'x'.repeat(780_000) })
    const frames = parts.packed.frames.map(() => LARGEST_PACKED_FRAME_BYTES)
    const packed = { ...parts.packed, frames, bytes: frames.length * LARGEST_PACKED_FRAME_BYTES }
    const text = renderEntryManifest({ ...parts, packed })
    expect(Buffer.byteLength(text)).toBeLessThan(LARGEST_MANIFEST_BYTES)
    // What the store gets in one request.
    expect(packed.bytes).toBeLessThan(5 * 2 ** 30)
    expect(() => renderEntryManifest(manifest(1, { text: 'x'.repeat(790_000) }))).toThrow(
      /expected a manifest of at most/,
    )
    expect(() => renderEntryManifest(manifest(LARGEST_LAYER_BYTES + 1))).toThrow(/cannot be shared/)
  })

  it('is refused when anything about it is wrong', () => {
    const good = { format: 1, ...manifest(3 * FRAME_BYTES) }
    const wrong: readonly unknown[] = [
      null,
      [],
      7,
      { ...good, format: 2 },
      { ...good, more: 1 },
      { ...good, key: '../../etc' },
      { ...good, layer: { ...good.layer, bytes: 0 } },
      { ...good, layer: { ...good.layer, bytes: 1.5 } },
      { ...good, layer: { ...good.layer, bytes: 3 * FRAME_BYTES + 1 } },
      { ...good, layer: { ...good.layer, bytes: 2 * FRAME_BYTES } },
      { ...good, layer: { ...good.layer, sha256: 'A'.repeat(64) } },
      { ...good, packed: { ...good.packed, bytes: good.packed.bytes + 1 } },
      { ...good, packed: { ...good.packed, frames: [0, 1, 5] } },
      { ...good, packed: { ...good.packed, frames: [1, 1, LARGEST_PACKED_FRAME_BYTES + 1] } },
      { ...good, packed: { ...good.packed, sha256: `../../${'a'.repeat(58)}` } },
      { ...good, own: [] },
      { ...good, own: null },
    ]
    expect(parseEntryManifest(JSON.stringify(good), KEY).ok).toBe(true)
    expect(wrong.filter((value) => parseEntryManifest(JSON.stringify(value), KEY).ok)).toEqual([])
    expect(parseEntryManifest(JSON.stringify(good), `${KEY}4`)).toEqual({
      ok: false,
      why: expect.stringMatching(/another key/),
    })
  })

  it('may be any text: the answer is one or none, never an error', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(parseEntryManifest(text, KEY).ok).toBe(false)
      }),
      { numRuns: 1_000 },
    )
  })
})
