import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { collectFrames } from '../../test/channel/collect-frames.ts'
import { ProtocolError } from '../base/index.ts'
import { encodeCredit, encodeData, encodeEmpty, encodeHeader, encodeJson } from './frame.ts'
import { FrameDecoder } from './frame-decoder.ts'
import { FRAME_RULES, HEADER_BYTES } from './wire.ts'

const oddId = fc.integer({ min: 0, max: 0x7fff_ffff }).map((half) => half * 2 + 1)
const stream = fc.integer({ min: 0, max: 15 })

/** Any frame that a guest may send, encoded. */
const guestFrame = fc.oneof(
  fc.tuple(oddId, stream, fc.uint8Array({ minLength: 1, maxLength: 3_000 })).map((args) => encodeData(...args)),
  fc.tuple(oddId, stream, fc.integer({ min: 1, max: 0x7fff_ffff })).map((args) => encodeCredit(...args)),
  fc.tuple(oddId, stream).map(([id, each]) => encodeEmpty('END', id, each)),
  fc.tuple(oddId, fc.dictionary(fc.string(), fc.string())).map(([id, body]) => encodeJson('EVENT', id, body)),
  fc.tuple(oddId, fc.dictionary(fc.string(), fc.string())).map(([id, body]) => encodeJson('RESPONSE', id, body)),
)

/** Cuts bytes at the places that a list of numbers between 0 and 1 names. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const offsets = places.map((place) => Math.floor(place * bytes.byteLength)).toSorted((a, b) => a - b)
  return [0, ...offsets].map((offset, index) => bytes.subarray(offset, offsets[index] ?? bytes.byteLength))
}

const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 40 })

describe('the decoder', () => {
  test('gives back what was encoded, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(guestFrame, { maxLength: 20 }), places, (encoded, cuts) => {
        const { frames, atBorder } = collectFrames('guest', cut(Buffer.concat(encoded), cuts))
        expect(atBorder).toBe(true)
        const again = frames.map(({ payload, ...header }) =>
          Buffer.concat([encodeHeader(header), Buffer.from(payload, 'hex')]),
        )
        expect(Buffer.concat(again).equals(Buffer.concat(encoded))).toBe(true)
        expect(frames).toHaveLength(encoded.length)
      }),
    )
  })

  test('either decodes any bytes or throws ProtocolError, the same however they are cut', () => {
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      // Close to valid: a frame with one byte changed, followed by anything.
      fc
        .tuple(guestFrame, fc.nat({ max: HEADER_BYTES - 1 }), fc.nat({ max: 255 }), fc.uint8Array({ maxLength: 60 }))
        .map(([frame, index, value, rest]) => {
          const bytes = Buffer.from(frame)
          bytes[index] = value
          return Buffer.concat([bytes, rest])
        }),
    )
    fc.assert(
      fc.property(hostile, places, (bytes, cuts) => {
        const decode = (pieces: Buffer[]): unknown => {
          try {
            return collectFrames('guest', pieces)
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError)
            return error instanceof ProtocolError ? error.message : error
          }
        }
        const whole = Buffer.from(bytes)
        expect(decode(cut(whole, cuts))).toEqual(decode([whole]))
      }),
      { numRuns: 2_000 },
    )
  })

  test('takes no memory for a length over the limit', () => {
    const before = process.memoryUsage().arrayBuffers
    const decoders = Array.from({ length: 64 }, () => {
      const decoder = new FrameDecoder('guest', { frame: () => {}, data: () => {}, dataBytes: () => {} })
      const header = { type: 'EVENT', stream: 0, id: 1, length: 0xffff_ffff } as const
      expect(() => decoder.push(encodeHeader(header))).toThrow(ProtocolError)
      return decoder
    })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(FRAME_RULES.EVENT.limitBytes)
    expect(decoders).toHaveLength(64)
  })

  test('hands a payload that arrives whole, and every piece of DATA, over without a copy', () => {
    const chunk = Buffer.concat([encodeJson('EVENT', 1, { event: 'x' }), encodeData(1, 1, Buffer.alloc(5_000, 7))])
    const views: Uint8Array[] = []
    const decoder = new FrameDecoder('guest', {
      frame: (_, payload) => views.push(payload),
      data: () => {},
      dataBytes: (piece) => views.push(piece),
    })
    decoder.push(chunk)
    expect(views).toHaveLength(2)
    for (const view of views) expect(view.buffer).toBe(chunk.buffer)
  })

  test('looks at nothing after a broken rule, nor after it was stopped', () => {
    const seen: string[] = []
    const decoder: FrameDecoder = new FrameDecoder('guest', {
      frame: ({ type }) => {
        seen.push(type)
        if (type === 'END') decoder.stop()
      },
      data: () => {},
      dataBytes: () => {},
    })
    decoder.push(Buffer.concat([encodeCredit(1, 1, 1), encodeEmpty('END', 1, 1), encodeCredit(1, 1, 1)]))
    decoder.push(encodeCredit(1, 1, 1))
    expect(seen).toEqual(['CREDIT', 'END'])
    const broken = new FrameDecoder('guest', { frame: () => seen.push('x'), data: () => {}, dataBytes: () => {} })
    expect(() => broken.push(Buffer.alloc(12))).toThrow(ProtocolError)
    broken.push(encodeCredit(1, 1, 1))
    expect(seen).toHaveLength(2)
  })
})
