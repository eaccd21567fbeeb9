import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDisplayedValue, parseProgramError } from './displayed-value.ts'

describe('parseDisplayedValue', () => {
  it('keeps MIME types and offers plain text as text', () => {
    expect(parseDisplayedValue('{"text/plain":"2","text/html":"<b>2</b>"}')).toEqual({
      text: '2',
      'text/plain': '2',
      'text/html': '<b>2</b>',
    })
  })

  it('takes no key that is not a MIME type, and no prototype', () => {
    const value = parseDisplayedValue('{"__proto__":{"polluted":1},"constructor":1,"text/plain":"x"}')
    expect(Object.keys(value)).toEqual(['text', 'text/plain'])
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })

  it('never throws, whatever user code made its interpreter say', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.json()),
        (text) => void [parseDisplayedValue(text), parseProgramError(text)],
      ),
    )
  })
})

describe('parseProgramError', () => {
  it('reads the three fields', () => {
    expect(parseProgramError('{"name":"E","message":"m","traceback":"t"}')).toEqual({
      name: 'E',
      message: 'm',
      traceback: 't',
    })
  })
})
