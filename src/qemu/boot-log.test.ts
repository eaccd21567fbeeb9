import { describe, expect, it } from 'vitest'
import { BootLog } from './boot-log.ts'

describe('BootLog', () => {
  it('passes on whole lines, whatever the pieces, and the last one at the end', () => {
    const lines: string[] = []
    const log = new BootLog((line) => lines.push(line))
    const bytes = Buffer.from('first\r\nzweite – Zeile\nlast')
    for (const byte of bytes) log.push(Buffer.from([byte]))
    log.finish()
    expect(lines).toEqual(['first', 'zweite – Zeile', 'last'])
    expect(log.ring.text()).toBe(bytes.toString())
  })

  it('is not harmed by a listener that throws', () => {
    const log = new BootLog(() => {
      throw new Error('the listener is broken')
    })
    log.push(Buffer.from('one\ntwo\n'))
    expect(log.ring.text()).toBe('one\ntwo\n')
  })

  it('keeps a bounded end of an unbounded log, and cuts lines that never end', () => {
    const lengths: number[] = []
    const log = new BootLog((line) => lengths.push(line.length))
    for (let count = 0; count < 1_000; count += 1) log.push(Buffer.alloc(1_000, 'x'))
    expect(log.ring.text().length).toBe(65_536)
    expect(Math.max(...lengths)).toBeLessThanOrEqual(4_096 + 1_000)
  })
})
