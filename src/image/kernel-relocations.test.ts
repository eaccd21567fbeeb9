import { describe, expect, it } from 'vitest'
import { placeRelocations } from './kernel-relocations.ts'

/** A kernel of which only the place counts. */
function kernelWith(capacity: number, copies = 1): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt32LE(capacity)
  const place = Buffer.concat([Buffer.from('exec-sandbox kernel relocations\0'), size, Buffer.alloc(capacity * 4)])
  return Buffer.concat([Buffer.from('before'), ...Array.from({ length: copies }, () => place), Buffer.from('after')])
}

const table = Buffer.from([0, 0, 0, 0, 1, 2, 3, 4])

describe('placeRelocations', () => {
  it('writes the table at the end of its place and nothing else', () => {
    const kernel = kernelWith(3)
    placeRelocations(kernel, table)
    expect(kernel.subarray(-17)).toEqual(Buffer.concat([Buffer.alloc(4), table, Buffer.from('after')]))
    expect(kernel.subarray(0, 6).toString()).toBe('before')
  })

  it.each([
    ['no place', Buffer.from('a kernel'), table, /no place/],
    ['two places', kernelWith(3, 2), table, /no place/],
    ['a table that does not fit', kernelWith(1), table, /2 words of relocations do not fit into 1/],
    ['an empty table', kernelWith(3), Buffer.alloc(0), /empty/],
    ['half a word', kernelWith(3), Buffer.alloc(5), /damaged/],
    ['a place that reaches beyond the kernel', kernelWith(3).subarray(0, -8), table, /beyond/],
  ])('refuses %s', (_, kernel, relocations, message) => {
    expect(() => placeRelocations(kernel, relocations)).toThrow(message)
  })
})
