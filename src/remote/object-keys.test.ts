import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ObjectKeys } from './object-keys.ts'

const KEY = '0123456789abcdef0123'
const DIGEST = 'd'.repeat(64)

test('objects lie below the prefix, with and without slashes at its ends', () => {
  expect(new ObjectKeys('').manifest(KEY)).toBe(`layers/v1/${KEY}/manifest.json`)
  expect(new ObjectKeys('/').packed(KEY, DIGEST)).toBe(`layers/v1/${KEY}/${DIGEST}.zst`)
  for (const prefix of ['team/ci', '/team/ci', 'team/ci/', '/team/ci/']) {
    expect(new ObjectKeys(prefix).manifest(KEY)).toBe(`team/ci/layers/v1/${KEY}/manifest.json`)
  }
})

test('nothing but hexadecimal digits gets into a name', () => {
  const keys = new ObjectKeys('p')
  const notHexadecimal = fc.string().filter((text) => !/^[0-9a-f]{16,64}$/.test(text))
  fc.assert(
    fc.property(notHexadecimal, (text) => {
      expect(() => keys.manifest(text)).toThrow(TypeError)
      expect(() => keys.packed(text, DIGEST)).toThrow(TypeError)
      expect(() => keys.packed(KEY, text)).toThrow(TypeError)
    }),
  )
  for (const text of [`${KEY}\n`, `${KEY}/..`, KEY.toUpperCase()]) expect(() => keys.manifest(text)).toThrow(TypeError)
})
