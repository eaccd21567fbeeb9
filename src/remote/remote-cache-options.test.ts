import { expect, test } from 'vitest'
import { remoteCacheOptionsSchema } from './remote-cache-options.ts'

test.each([
  { bucket: 'layers' },
  { bucket: 'my.bucket-1', prefix: 'team/ci', region: 'eu-central-1' },
  { bucket: 'layers', prefix: '' },
  { bucket: 'layers', prefix: '/a/b_c/' },
  { bucket: 'layers', endpoint: 'https://store.example:9000', forcePathStyle: false },
  { bucket: 'layers', endpoint: 'http://[::1]:9000/s3' },
])('%j is accepted', (options) => {
  expect(remoteCacheOptionsSchema.safeParse(options).success).toBe(true)
})

test.each<[unknown, RegExp]>([
  [{}, /bucket/],
  [{ bucket: 'Layers' }, /expected a bucket name/],
  [{ bucket: 'a/b' }, /expected a bucket name/],
  [{ bucket: 'a..b' }, /expected a bucket name/],
  [{ bucket: 'ab' }, /expected a bucket name/],
  [{ bucket: 'layers', prefix: 'a//b' }, /expected names/],
  [{ bucket: 'layers', prefix: '../b' }, /expected names/],
  [{ bucket: 'layers', prefix: 'a b' }, /expected names/],
  [{ bucket: 'layers', prefix: 'a?b' }, /expected names/],
  [{ bucket: 'layers', prefix: 'a'.repeat(513) }, /at most 512/],
  [{ bucket: 'layers', region: 'evil.example/' }, /expected a region/],
  [{ bucket: 'layers', endpoint: 'store.example' }, /expected an http/],
  [{ bucket: 'layers', endpoint: 'ftp://store.example' }, /expected an http/],
  [{ bucket: 'layers', endpoint: 'https://user:secret@store.example' }, /expected an http/],
  [{ bucket: 'layers', endpoint: 'https://store.example?x=1' }, /expected an http/],
  [{ bucket: 'layers', forcePathStyle: 1 }, /expected true or false/],
  [{ bucket: 'layers', accessKeyId: 'x' }, /accessKeyId/],
])('%j is refused', (options, message) => {
  const result = remoteCacheOptionsSchema.safeParse(options)
  expect(result.success).toBe(false)
  expect(JSON.stringify(result.error?.issues)).toMatch(message)
})
