import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { ProtocolError } from '../base/index.ts'
import { checkGuest, parseEvent, parseResponse } from './guest-json.ts'

const bytes = (text: string): Buffer => Buffer.from(text)

describe('JSON from the guest', () => {
  test('cannot touch a prototype, at any depth or in any spelling', () => {
    const hostile = [
      '{"event":"x","__proto__":{"polluted":1},"a":[{"__proto__":{"polluted":1}}]}',
      '{"event":"x","\\u005f_proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
    ]
    for (const text of hostile) {
      const event = parseEvent(bytes(text))
      const copied = checkGuest(z.looseObject({}), event, 'EVENT')
      for (const object of [event, copied, Object.assign({}, event), { ...event }]) {
        expect(Object.hasOwn(object, '__proto__')).toBe(false)
        expect(Object.getPrototypeOf(object)).toBe(Object.prototype)
        expect(object).not.toHaveProperty('polluted')
      }
    }
    expect({}).not.toHaveProperty('polluted')
  })

  test('that nests as deep as a frame allows is refused, not a stack overflow', () => {
    for (const nested of [
      `{"event":"x","a":${'['.repeat(1_048_000)}`,
      `{"a":${'['.repeat(500_000)}${']'.repeat(500_000)}}`,
    ]) {
      expect(() => parseEvent(bytes(nested))).toThrow(ProtocolError)
    }
    expect(() => parseEvent(bytes('{"a":'.repeat(150_000) + '1' + '}'.repeat(150_000)))).toThrow(ProtocolError)
  })

  test('gives an object or a ProtocolError for any bytes', () => {
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map(bytes),
      fc.dictionary(fc.string(), fc.jsonValue()).map((value) => bytes(JSON.stringify({ event: 'x', ...value }))),
    )
    fc.assert(
      fc.property(payload, (each) => {
        for (const parse of [parseEvent, parseResponse]) {
          try {
            expect(typeof parse(each)).toBe('object')
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError)
          }
        }
      }),
      { numRuns: 1_000 },
    )
  })

  test('may refuse a request in any number of words, of which few are kept', () => {
    const body = { error: { code: 'internal', message: 'x'.repeat(1_000_000) } }
    const parsed = parseResponse(bytes(JSON.stringify(body)))
    expect(parsed.kind === 'error' && parsed.error.message.length).toBe(2_000)
  })
})
