import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FRAME_BYTES, frameContentBytes, LARGEST_PACKED_FRAME_BYTES } from './frame.ts'
import { packFrame, unpackFrame } from './zstd.ts'

describe('a frame', () => {
  it('gives back what was packed, and tells its size', () => {
    const sized = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 2_000 }),
      // Sizes around those where the header gets another form.
      fc.constantFrom(1, 255, 256, 257, 65_535, 65_791, 65_792, FRAME_BYTES).map((bytes) => randomBytes(bytes)),
    )
    fc.assert(
      fc.property(sized, (content) => {
        const frame = packFrame(content)
        expect(frame.byteLength).toBeLessThanOrEqual(LARGEST_PACKED_FRAME_BYTES)
        expect(frameContentBytes(frame)).toBe(content.byteLength)
        expect(Buffer.from(unpackFrame(frame, content.byteLength) ?? []).equals(content)).toBe(true)
        expect(unpackFrame(frame, content.byteLength + 1)).toBeUndefined()
        expect(unpackFrame(frame, content.byteLength - 1)).toBeUndefined()
      }),
    )
  })

  it('that is damaged is refused or has the size that was asked for, and the next one is unpacked all the same', () => {
    const content = Buffer.from('a layer of packages\n'.repeat(500))
    const frame = packFrame(content)
    const damage = fc.record({
      at: fc.nat({ max: frame.byteLength - 1 }),
      bits: fc.integer({ min: 1, max: 255 }),
      length: fc.integer({ min: 0, max: frame.byteLength }),
    })
    fc.assert(
      fc.property(damage, ({ at, bits, length }) => {
        const bad = Buffer.from(frame)
        bad[at] = (bad[at] ?? 0) ^ bits
        for (const hostile of [bad, frame.subarray(0, length), Buffer.concat([frame, bad])]) {
          const unpacked = unpackFrame(hostile, content.byteLength)
          if (unpacked !== undefined) expect(unpacked.byteLength).toBe(content.byteLength)
        }
        expect(Buffer.from(unpackFrame(frame, content.byteLength) ?? []).equals(content)).toBe(true)
      }),
      { numRuns: 3_000 },
    )
  })

  it('of noise is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: FRAME_BYTES }), (noise, bytes) => {
        expect(unpackFrame(noise, bytes)).toBeUndefined()
        // With a header that promises the right size, what follows decides.
        const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0])
        header.writeUInt32LE(bytes, 5)
        const unpacked = unpackFrame(Buffer.concat([header, noise]), bytes)
        expect(unpacked === undefined || unpacked.byteLength === bytes).toBe(true)
      }),
      { numRuns: 3_000 },
    )
  })

  it('whose blocks hold more than its header says is refused: a bomb gets no room', () => {
    // Thirty blocks of 128 KiB, each one byte repeated (RFC 8878, 3.1.1.2.2), behind a header that says 1000 bytes.
    const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x60, 0, 0])
    header.writeUInt16LE(1000 - 256, 5)
    const block = Buffer.from([0, 0, 0, 0x41])
    block.writeUIntLE((131_072 << 3) | 0b010, 0, 3)
    const last = Buffer.from(block)
    last.writeUIntLE((131_072 << 3) | 0b011, 0, 3)
    const bomb = Buffer.concat([header, ...Array.from({ length: 29 }, () => block), last])
    expect(frameContentBytes(bomb)).toBe(1000)
    expect(unpackFrame(bomb, 1000)).toBeUndefined()
  })

  it('that claims to be enormous is refused by its claim', () => {
    const header = Buffer.alloc(20)
    header.set([0x28, 0xb5, 0x2f, 0xfd, 0xe0])
    header.writeBigUInt64LE(2n ** 62n, 5)
    expect(frameContentBytes(header)).toBe(2 ** 62)
    expect(unpackFrame(header, FRAME_BYTES)).toBeUndefined()
  })

  it('that says no size, or whose header is cut off, says none', () => {
    expect(frameContentBytes(Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0]))).toBeUndefined()
    expect(frameContentBytes(Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 1, 2]))).toBeUndefined()
    expect(frameContentBytes(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]))).toBeUndefined()
    expect(frameContentBytes(Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]))).toBeUndefined()
  })
})
