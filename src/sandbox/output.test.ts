import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CharacterSplitter, collectOutput } from './output.ts'

async function* chunksOf(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let offset = 0
  for (const size of sizes) {
    if (offset >= bytes.byteLength) return
    yield bytes.slice(offset, offset + size)
    offset += size
  }
  if (offset < bytes.byteLength) yield bytes.slice(offset)
}

const base = { name: 'stdout', kept: Infinity, onCallback: () => undefined, onCallbackError: () => undefined }

describe('collectOutput', () => {
  it('tears no character, whatever the read borders', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary', maxLength: 200 }),
        fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 200 }),
        async (text, sizes) => {
          const bytes = Buffer.from(text.toWellFormed())
          const pieces: string[] = []
          const raw: Uint8Array[] = []
          const collected = await collectOutput(chunksOf(bytes, sizes), {
            ...base,
            limit: 1_000_000,
            callback: (piece, itsBytes) => {
              pieces.push(piece)
              raw.push(itsBytes.slice())
            },
          })
          expect(collected.text).toBe(text.toWellFormed())
          expect(pieces.join('')).toBe(collected.text)
          expect(Buffer.concat(raw).equals(bytes)).toBe(true)
        },
      ),
    )
  })

  it('passes arbitrary bytes on unchanged and decodes them as a whole would be', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 100 }),
        fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 100 }),
        async (bytes, sizes) => {
          const raw: Uint8Array[] = []
          const collected = await collectOutput(chunksOf(bytes, sizes), {
            ...base,
            limit: 1000,
            callback: (_, piece) => void raw.push(piece.slice()),
          })
          expect(Buffer.concat(raw).equals(Buffer.from(bytes))).toBe(true)
          expect(collected.text).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes))
        },
      ),
    )
  })

  it('refuses more than the limit', async () => {
    const stream = chunksOf(new Uint8Array(11), [])
    await expect(collectOutput(stream, { ...base, limit: 10, callback: undefined })).rejects.toMatchObject({
      code: 'PROTOCOL',
    })
  })

  it('drops a character that the limit cut', async () => {
    const stream = chunksOf(Buffer.from('aé').subarray(0, 2), [])
    expect((await collectOutput(stream, { ...base, limit: 2, callback: undefined })).text).toBe('a')
  })

  it('reports what a callback throws once and reads on', async () => {
    const errors: unknown[] = []
    let calls = 0
    const collected = await collectOutput(chunksOf(Buffer.from('abcdef'), [2, 2, 2]), {
      ...base,
      limit: 100,
      callback: () => {
        calls += 1
        throw new Error('mine')
      },
      onCallbackError: (error) => errors.push(error),
    })
    expect(collected.text).toBe('abcdef')
    expect(calls).toBe(1)
    expect(errors).toEqual([new Error('mine')])
  })

  it('takes the next chunk only after an asynchronous callback is done', async () => {
    const order: string[] = []
    async function* source(): AsyncGenerator<Uint8Array> {
      order.push('take 1')
      yield Buffer.from('1')
      order.push('take 2')
      yield Buffer.from('2')
    }
    await collectOutput(source(), {
      ...base,
      limit: 10,
      callback: async (text) => {
        await Promise.resolve()
        order.push(`done ${text}`)
      },
    })
    expect(order).toEqual(['take 1', 'done 1', 'take 2', 'done 2'])
  })
})

describe('CharacterSplitter', () => {
  it('holds back at most three bytes', () => {
    const splitter = new CharacterSplitter()
    const emoji = Buffer.from('😀')
    expect(splitter.push(emoji.subarray(0, 3)).byteLength).toBe(0)
    expect(Buffer.from(splitter.push(emoji.subarray(3))).toString()).toBe('😀')
    expect(splitter.rest().byteLength).toBe(0)
  })
})
