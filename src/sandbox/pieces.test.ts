import { describe, expect, it } from 'vitest'
import { bytesOf, piecesUntil } from './pieces.ts'

const never = new Promise<never>(() => undefined)

async function collect<T>(pieces: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = []
  for await (const piece of pieces) seen.push(piece)
  return seen
}

describe('pieces of a source', () => {
  it('come as the source gives them, and its error, too', async () => {
    async function* source(): AsyncGenerator<number> {
      yield 1
      yield 2
      throw new RangeError('mine')
    }
    const pieces = piecesUntil(source(), never)
    expect([await pieces.next(), await pieces.next()].map(({ value }) => value)).toEqual([1, 2])
    await expect(pieces.next()).rejects.toThrow('mine')
  })

  it.each([
    ['resolves', async () => undefined],
    ['rejects', async () => await Promise.reject(new Error('over'))],
  ])('end when what they are for %s, though the source still waits, and end the source', async (_, over) => {
    let returned = false
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => await never,
        return: async () => {
          returned = true
          return { done: true, value: undefined }
        },
      }),
    }
    expect(await collect(piecesUntil(source, over()))).toEqual([])
    expect(returned).toBe(true)
  })

  it('end the source when they are left', async () => {
    let ended = false
    async function* source(): AsyncGenerator<number> {
      try {
        for (;;) yield 1
      } finally {
        ended = true
      }
    }
    for await (const piece of piecesUntil(source(), never)) if (piece === 1) break
    expect(ended).toBe(true)
  })

  it('are text or bytes and nothing else', () => {
    expect(bytesOf('é', 'stdin')).toEqual(Buffer.from('é'))
    const bytes = new Uint8Array([1])
    expect(bytesOf(bytes, 'stdin')).toBe(bytes)
    for (const wrong of [1, null, undefined, new ArrayBuffer(1), [1], '\ud800', {}]) {
      expect(() => bytesOf(wrong, 'stdin')).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
    }
  })
})
