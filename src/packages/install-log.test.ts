import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InstallLog } from './install-log.ts'

function logged(pieces: readonly string[], redact = (text: string): string => text) {
  const lines: string[] = []
  const log = new InstallLog(redact, (line) => lines.push(line))
  for (const piece of pieces) log.write(piece)
  log.end()
  return { lines, tail: log.tail() }
}

describe('InstallLog', () => {
  it('gives whole lines, however they come, and the last one without an end', () => {
    expect(logged(['Resol', 'ved\r', '\n\nDown', 'loading\rDone', '\nlast'])).toEqual({
      lines: ['Resolved', 'Downloading', 'Done', 'last'],
      tail: expect.stringContaining('Done\nlast\n'),
    })
  })

  it('takes secrets out, wherever the pieces end', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(40), { maxLength: 5 }), (cuts) => {
        const text = 'first\nGET https://me:secret@x.test\nlast\n'
        const ends = [...cuts.map((cut) => cut % text.length), text.length].toSorted((left, right) => left - right)
        const pieces = ends.map((end, index) => text.slice(ends[index - 1] ?? 0, end))
        const { lines, tail } = logged(pieces, (line) => line.replaceAll('me:secret', '***'))
        expect(lines).toEqual(['first', 'GET https://***@x.test', 'last'])
        expect(tail).not.toContain('secret')
      }),
    )
  })

  it('keeps no more than the end of it, and gives endless lines in pieces', () => {
    const { lines, tail } = logged(Array.from({ length: 100 }, () => 'x'.repeat(1_000)))
    expect(lines.every((line) => line.length <= 4_096)).toBe(true)
    expect(lines.join('')).toHaveLength(100_000)
    expect(tail.length).toBeLessThanOrEqual(32_768)
  })
})
