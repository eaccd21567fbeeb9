import { describe, expect, it } from 'vitest'
import { linesOf } from './piped-lines.ts'

async function* chunks(...texts: (string | Uint8Array)[]): AsyncGenerator {
  for (const text of texts) yield Buffer.from(text as string)
}

const all = async (...texts: (string | Uint8Array)[]): Promise<string[]> => {
  const lines: string[] = []
  for await (const line of linesOf(chunks(...texts))) lines.push(line)
  return lines
}

describe('linesOf', () => {
  it('gives lines whatever pieces they come in', async () => {
    expect(await all('a\nb', 'c\r\n', '\nd')).toEqual(['a', 'bc', '', 'd'])
    expect(await all('a\n')).toEqual(['a'])
    expect(await all()).toEqual([])
    const euro = Buffer.from('€')
    expect(await all(euro.subarray(0, 1), euro.subarray(1), '\n')).toEqual(['€'])
  })

  it.each([
    ['a line without end', 'x'.repeat(1_100_000), 'at most'],
    ['bytes that are no text', Buffer.from([0xff, 0x0a]), 'UTF-8'],
    ['half a character at the end', Buffer.from([0xe2]), 'UTF-8'],
  ])('refuses %s', async (_, input, message) => {
    await expect(all(input)).rejects.toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', message: expect.stringContaining(message) }),
    )
  })
})
