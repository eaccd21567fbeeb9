import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ExchangeInput, FIRST_PHASE, isOpenToGuest, nextStep } from './exchange-phase.ts'

const input = fc.constantFrom<ExchangeInput>('sent', 'cancel', 'abort', 'response', 'lost')

function walk(inputs: readonly ExchangeInput[]): { kinds: string[]; effects: string[] } {
  let phase = FIRST_PHASE
  const kinds: string[] = []
  const effects: string[] = []
  for (const each of inputs) {
    const step = nextStep(phase, each)
    phase = step.phase
    kinds.push(phase.kind)
    effects.push(step.effect)
  }
  return { kinds, effects }
}

describe('an exchange', () => {
  test('sends CANCEL at most once and never leaves its end, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(input, { maxLength: 12 }), (inputs) => {
        const { kinds, effects } = walk(inputs)
        expect(effects.filter((effect) => effect === 'send-cancel').length).toBeLessThanOrEqual(1)
        const end = kinds.indexOf('ended')
        if (end < 0) return
        expect(kinds.slice(end).every((kind) => kind === 'ended')).toBe(true)
        expect(effects.slice(end + 1).every((effect) => effect === 'none')).toBe(true)
      }),
    )
  })

  test('takes its REQUEST back only if the guest has not been told of it', () => {
    expect(walk(['abort'])).toEqual({ kinds: ['ended'], effects: ['withdraw'] })
    expect(walk(['sent', 'abort'])).toEqual({ kinds: ['open', 'draining'], effects: ['none', 'send-cancel'] })
    expect(walk(['cancel', 'abort']).effects).toEqual(['send-cancel', 'withdraw'])
  })

  test('goes on after a polite cancel, and drains after an abort, until the RESPONSE', () => {
    expect(walk(['cancel', 'sent', 'response']).kinds).toEqual(['queued', 'cancelling', 'ended'])
    expect(walk(['sent', 'cancel', 'abort', 'cancel', 'response'])).toEqual({
      kinds: ['open', 'cancelling', 'draining', 'draining', 'ended'],
      effects: ['none', 'send-cancel', 'none', 'none', 'none'],
    })
  })

  test('is open to the guest only between REQUEST and RESPONSE', () => {
    expect(isOpenToGuest(FIRST_PHASE)).toBe(false)
    expect(isOpenToGuest(nextStep(FIRST_PHASE, 'sent').phase)).toBe(true)
    expect(isOpenToGuest(nextStep(FIRST_PHASE, 'lost').phase)).toBe(false)
  })
})
