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
    expect(Object.keys(value ?? {})).toEqual(['text', 'text/plain'])
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })

  it('leaves out forms that nest too deep, and keeps the others', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"x":', '}'],
    ] as const) {
      const deep = (depth: number) => `${open.repeat(depth)}1${close.repeat(depth)}`
      expect(parseDisplayedValue(`{"a/deep":${deep(80_000)},"text/plain":"x"}`)).toEqual({
        text: 'x',
        'text/plain': 'x',
      })
      expect(Object.keys(parseDisplayedValue(`{"a/deep":${deep(32)}}`) ?? {})).toEqual(['a/deep'])
      expect(Object.keys(parseDisplayedValue(`{"a/deep":${deep(33)}}`) ?? {})).toEqual([])
    }
  })

  it('takes __proto__ keys out at any level', () => {
    expect(JSON.stringify(parseDisplayedValue('{"a/b":[{"__proto__":{"polluted":1},"kept":2}]}'))).toBe(
      '{"a/b":[{"kept":2}]}',
    )
  })

  it('gives no more once the room of the run is used up', () => {
    const room = { nodes: 100 }
    const many = (count: number) => `{"a/b":[${Array.from({ length: count - 2 }, () => '{}').join()}]}`
    expect(parseDisplayedValue(many(61), room)).toHaveProperty('a/b')
    expect(room.nodes).toBe(40)
    expect(parseDisplayedValue(many(100_000), room)).toBeUndefined()
    expect(parseDisplayedValue('{"text/plain":"small"}', room)).toBeUndefined()
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
