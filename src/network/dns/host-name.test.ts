import { domainToASCII } from 'node:url'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalHostName, isHostName } from './host-name.ts'

test.for([
  ['example.com', 'example.com'],
  ['EXAMPLE.com.', 'example.com'],
  ['_dmarc.a-b.c', '_dmarc.a-b.c'],
  ['localhost', 'localhost'],
  ['1.2.3.4.com', '1.2.3.4.com'],
  ['0x7f.com', '0x7f.com'],
  ['a'.repeat(63), 'a'.repeat(63)],
  // 253 characters and a trailing dot.
  ['a.'.repeat(127), `${'a.'.repeat(126)}a`],
] as const)('%s is the name %s', ([text, name]) => {
  expect(canonicalHostName(text)).toBe(name)
})

test.for([
  ...['', '.', 'a..', '..', 'a..b', '.a', '-a.b', 'a-.b', 'a b', 'a\0b', 'a/b', 'a:1', '*.a', '*', 'a.b\n'],
  ...[
    '127.0.0.1',
    '127.1',
    '127.0.0.1.',
    '0x7f.1',
    '0x7f000001',
    '2130706433',
    'a.1',
    'a.0x',
    'a.0xff',
    '::1',
    '[::1]',
  ],
  ...['bücher.de', '\u212Aube.com', 'ａ.com', 'a'.repeat(64), 'a.'.repeat(128)],
])('%j is no name', (text) => {
  expect(canonicalHostName(text)).toBeUndefined()
})

test('no name can be read as an address by the reader of URLs, nor as anything but itself', () => {
  const character = fc.constantFrom('a', 'f', 'x', '0', '1', '7', '9', '.', '-', '_', 'X')
  let names = 0
  fc.assert(
    fc.property(fc.string({ unit: character, minLength: 1, maxLength: 12 }), (text) => {
      const name = canonicalHostName(text)
      if (name === undefined) return
      names += 1
      expect(isHostName(name)).toBe(true)
      expect(canonicalHostName(name)).toBe(name)
      // xn-- labels are checked by IDNA; nothing else is changed by it.
      if (!name.includes('--')) expect(domainToASCII(name)).toBe(name)
    }),
    { numRuns: 20_000 },
  )
  expect(names).toBeGreaterThan(500)
})
