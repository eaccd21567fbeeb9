import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InboundStream } from './inbound-stream.ts'

/** A piece as the decoder gives it: a view into a read buffer with other frames around it. */
function pieceOf(size: number, around: number, fill: number): Buffer {
  return Buffer.alloc(size + around, fill).subarray(around, around + size)
}

async function readAll(stream: InboundStream): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return chunks
}

const piece = fc.record({ size: fc.integer({ min: 1, max: 20_000 }), around: fc.integer({ min: 0, max: 65_000 }) })

describe('a stream from the guest', () => {
  test('keeps every byte in order and holds at most a few times its size', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 40 }), async (pieces) => {
        let consumed = 0
        const stream = new InboundStream((bytes) => {
          consumed += bytes
        })
        const sent = pieces.map(({ size, around }, index) => pieceOf(size, around, index % 256))
        for (const each of sent) stream.push(each)
        expect(consumed).toBe(0)
        stream.end()
        const chunks = await readAll(stream)
        expect(Buffer.concat(chunks).equals(Buffer.concat(sent))).toBe(true)
        for (const { byteLength, buffer } of chunks) expect(buffer.byteLength).toBeLessThanOrEqual(4 * byteLength)
        expect(consumed).toBe(Buffer.concat(sent).byteLength)
      }),
    )
  })

  test('does not keep a read buffer for the sake of one byte in it', async () => {
    const stream = new InboundStream(() => {})
    const waiting = stream.next()
    stream.push(pieceOf(1, 65_535, 1))
    const direct = await waiting
    stream.push(pieceOf(1, 65_535, 1))
    const queued = await stream.next()
    for (const { value } of [direct, queued]) expect(value?.buffer.byteLength).toBe(1)
  })

  test('gives what was queued before the error that broke it', async () => {
    const stream = new InboundStream(() => {})
    stream.push(Buffer.from('kept'))
    stream.fail(new Error('lost'))
    expect(Buffer.from((await stream.next()).value ?? []).toString()).toBe('kept')
    await expect(stream.next()).rejects.toThrow('lost')
  })

  test('an error after its end changes nothing', async () => {
    const stream = new InboundStream(() => {})
    stream.push(Buffer.from('whole'))
    stream.end()
    stream.fail(new Error('lost'))
    expect(Buffer.concat(await readAll(stream)).toString()).toBe('whole')
  })

  test('grants for what its reader leaves behind, and for what comes after', async () => {
    let consumed = 0
    const stream = new InboundStream((bytes) => {
      consumed += bytes
    })
    stream.push(Buffer.alloc(9_000))
    stream.push(Buffer.alloc(100))
    for await (const chunk of stream) {
      expect(chunk.byteLength).toBe(9_000)
      break
    }
    expect(consumed).toBe(9_100)
    stream.push(Buffer.alloc(50))
    expect(consumed).toBe(9_150)
    expect(stream.hasQueued).toBe(false)
    await expect(stream.next()).resolves.toEqual({ done: true, value: undefined })
  })

  test('has one reader', async () => {
    const stream = new InboundStream(() => {})
    const first = stream.next()
    await expect(stream.next()).rejects.toThrow('one reader')
    stream.end()
    await expect(first).resolves.toEqual({ done: true, value: undefined })
  })
})
