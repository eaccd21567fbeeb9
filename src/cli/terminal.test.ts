import { describe, expect, it } from 'vitest'
import { BootError } from '../base/index.ts'
import { explainError } from './terminal.ts'

describe('explainError', () => {
  it('lets nothing that a guest said reach the terminal as a command', () => {
    const details = { phase: 'hello', bootLog: 'log \u001b[2J', stderr: '\u009b1A' }
    const text = explainError(new BootError('first \u001b]0;title\u0007\nsecond \r', details))
    // oxlint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
    expect(text.split('\n').slice(0, 2)).toEqual(['sbx: first ·]0;title·', 'second ·'])
  })

  it('B06: nor by an error that is not one of its own, nor by turning the direction of the text', () => {
    const text = explainError(new Error('a \u001b[2J name \u202egnp.exe\u2066'))
    expect(text).toMatch(/^sbx: Error: a ·\[2J name ·gnp\.exe·\n/)
  })
})
