import { describe, expect, test } from 'vitest'
import { networkOf, portLines, portsOf } from './network-flags.ts'

const NONE = { allow: [], deny: [], expose: [] }

describe('the flags of the network', () => {
  test.each([
    [{}, undefined],
    [{ network: true }, true],
    [{ allow: ['a.com', '10.0.0.0/8:80'] }, { allow: ['a.com', '10.0.0.0/8:80'] }],
    [{ deny: ['b.com'] }, { deny: ['b.com'] }],
    [{ network: true, deny: ['b.com'] }, { deny: ['b.com'] }],
    [{ network: true, allow: ['10.0.0.0/8'] }, { allow: ['*', '10.0.0.0/8'] }],
    [
      { allow: ['*.a.com'], deny: ['b.a.com'] },
      { allow: ['*.a.com'], deny: ['b.a.com'] },
    ],
  ])('%j', (flags, options) => {
    expect(networkOf({ ...NONE, ...flags })).toEqual(options)
  })
})

describe('--expose', () => {
  test('names a port of the guest, and one of the host behind a colon', () => {
    expect(portsOf({ expose: ['8000', '80:8080'] })).toEqual([{ guest: 8000 }, { guest: 80, host: 8080 }])
  })

  test.each(['', 'http', '80:', ':80', '80:90:100', '-1', '1e3', ' 80', '123456'])('refuses %j', (text) => {
    expect(() => portsOf({ expose: [text] })).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', message: expect.stringContaining(JSON.stringify(text)) }),
    )
  })

  test('is told line by line', () => {
    const port = { guest: 8000, host: 40123, url: 'http://127.0.0.1:40123' }
    expect(portLines([port])).toBe('sbx: port 8000 is http://127.0.0.1:40123\n')
    expect(portLines([])).toBe('')
  })
})
