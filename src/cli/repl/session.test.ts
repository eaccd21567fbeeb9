import { expect, it } from 'vitest'
import { stepOf } from './session.ts'

it('Ctrl-C interrupts, then warns, then ends the interpreter, once', () => {
  expect([1, 2, 3, 4, 5].map(stepOf)).toEqual(['interrupt', 'warn', 'restart', 'none', 'none'])
})
