import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineSplitter } from './qmp-lines.ts'

describe('LineSplitter', () => {
  it('finds the same lines however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/\s/g, '_'))),
        fc.integer({ min: 1, max: 7 }),
        (lines, step) => {
          const bytes = Buffer.from(lines.map((line) => `${line}\r\n`).join(''))
          const splitter = new LineSplitter()
          const found: string[] = []
          for (let at = 0; at < bytes.length; at += step) found.push(...splitter.push(bytes.subarray(at, at + step)))
          expect(found).toEqual(lines.map((line) => line.trim()).filter((line) => line !== ''))
        },
      ),
    )
  })

  it('refuses a line before it has grown beyond the limit', () => {
    const splitter = new LineSplitter(10)
    expect(splitter.push(Buffer.from('12345'))).toEqual([])
    expect(() => splitter.push(Buffer.from('678901'))).toThrow(RangeError)
  })
})
