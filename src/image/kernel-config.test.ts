import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findConfigMisses, parseFragment } from './kernel-config.ts'
import { guestDirectory } from './recipe.ts'

const fragment = `# why
CONFIG_A=y
CONFIG_B=n
# CONFIG_C is not set
CONFIG_D="lz4"
CONFIG_E=250
`

test('a configuration that holds every line has no misses', () => {
  const config = 'CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_D="lz4"\nCONFIG_E=250\n'
  expect(findConfigMisses(parseFragment(fragment), config)).toEqual([])
})

test('every dropped, changed or returned option is listed with what was found', () => {
  const config = 'CONFIG_B=y\nCONFIG_C=m\nCONFIG_D="zstd"\nCONFIG_E=250\n'
  const misses = findConfigMisses(parseFragment(fragment), config)
  expect(misses.map(({ symbol, found, line }) => ({ symbol, found, line }))).toEqual([
    { symbol: 'CONFIG_A', found: 'n', line: 2 },
    { symbol: 'CONFIG_B', found: 'y', line: 3 },
    { symbol: 'CONFIG_C', found: 'm', line: 4 },
    { symbol: 'CONFIG_D', found: '"zstd"', line: 5 },
  ])
})

test('a line that is neither an option nor a comment is refused', () => {
  expect(() => parseFragment('CONFG_A=y\n')).toThrow(/line 1/)
})

test('the fragment that ships sets no option twice', async () => {
  const lines = parseFragment(await readFile(join(guestDirectory, 'image', 'kernel.config'), 'utf8'))
  const symbols = lines.map(({ symbol }) => symbol)
  expect(symbols.filter((symbol, index) => symbols.indexOf(symbol) !== index)).toEqual([])
})
