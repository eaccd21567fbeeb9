import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeGuestPath, encodeGuestPath, resolveGuestPath } from './guest-path.ts'

describe('a path of the guest', () => {
  it.each([
    ['a', '/home/user/a'],
    ['.', '/home/user'],
    ['~', '/home/user'],
    ['~/a/../b', '/home/user/b'],
    ['~other', '/home/user/~other'],
    ['./~/a', '/home/user/~/a'],
    ['../../etc', '/etc'],
    ['/tmp//x/', '/tmp/x'],
    ['/..', '/'],
  ])('%s is %s', (given, absolute) => {
    expect(resolveGuestPath(given)).toBe(absolute)
  })

  it.each([
    [''],
    ['a\0'],
    [7],
    [null],
    ['x'.repeat(256)],
    ['é'.repeat(128)],
    ['a/'.repeat(2_050)],
    ['\ud83d'],
    ['\udc00'],
  ])('%j is refused', (given) => {
    expect(() => resolveGuestPath(given)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
  })

  it('is as long as the kernel takes it', () => {
    const longest = `/${'a'.repeat(255)}`.repeat(15)
    expect(resolveGuestPath(`${longest}/${'b'.repeat(254)}`)).toHaveLength(4_095)
    expect(() => resolveGuestPath(`${longest}/${'b'.repeat(255)}`)).toThrow('expected at most 4095 bytes, got 4096')
  })

  it('round trips any bytes, and any text', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect([...encodeGuestPath(decodeGuestPath(bytes))]).toEqual([...bytes])
      }),
      { numRuns: 2_000 },
    )
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(decodeGuestPath(encodeGuestPath(text))).toBe(text)
      }),
    )
  })

  it('has the odd bytes where Python puts them', () => {
    expect(decodeGuestPath(Buffer.from([0x61, 0xff, 0xc3, 0xa9, 0xc3]))).toBe('a\udcffé\udcc3')
    // UTF-8 of a surrogate, an overlong form and a number beyond the last character are no characters.
    expect(decodeGuestPath(Buffer.from([0xed, 0xa0, 0x80]))).toBe('\udced\udca0\udc80')
    expect(decodeGuestPath(Buffer.from([0xc0, 0xaf]))).toBe('\udcc0\udcaf')
    expect(decodeGuestPath(Buffer.from([0xf4, 0x90, 0x80, 0x80]))).toBe('\udcf4\udc90\udc80\udc80')
  })
})
