import { expect, it } from 'vitest'
import { installedPackagesSchema } from './layer-manifest.ts'

it('B06: a package has a name and a version that can be shown', () => {
  const accepts = (name: string, version: string): boolean =>
    installedPackagesSchema.safeParse([{ name, version }]).success
  expect(accepts('@scope/na-me', '1!2.0+local.1')).toBe(true)
  for (const word of ['', 'a\u001b[2J', 'a\nb', 'a\u009b', 'a\u202eb', 'x'.repeat(257)]) {
    expect(accepts(word, '1')).toBe(false)
    expect(accepts('a', word)).toBe(false)
  }
})
