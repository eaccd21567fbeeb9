import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError, PackageError } from '../base/index.ts'
import { parsePackageSpecs } from './package-spec.ts'

describe('specs of Python', () => {
  it.each([
    [['pandas'], ['pandas']],
    [['Pandas==2.2.3'], ['pandas==2.2.3']],
    [['ruamel.yaml', 'Ruamel_Yaml'], ['ruamel-yaml']],
    [['httpx[http2,Brotli]>=0.27,<1'], ['httpx[brotli,http2]<1,>=0.27']],
    [
      ['torch==2.6.0+cpu', 'a!=1.*', 'b~=1.4', 'c==1!2.0.post1'],
      ['a!=1.*', 'b~=1.4', 'c==1!2.0.post1', 'torch==2.6.0+cpu'],
    ],
    [
      ['b', 'a', 'b'],
      ['a', 'b'],
    ],
    [[], []],
  ])('%j become %j', (specs, expected) => {
    expect(parsePackageSpecs(specs, 'python')).toEqual(expected)
  })

  it.each([
    ['-r requirements.txt', /options/],
    ['--index-url', /options/],
    ['./wheel.whl', /paths/],
    ['/tmp/x', /paths/],
    ['~/x', /paths/],
    ['..\\x', /paths/],
    ['pandas @ https://example.com/x.whl', /refused/],
    ['https://example.com/x.whl', /URLs/],
    ['git+https://example.com/x', /URLs/],
    ['file:x', /URLs/],
    ['a; python_version<"4"', /markers/],
    ['pandas >= 2', /white space/],
    ['pandas\nnumpy', /white space/],
    ['pandas\0', /white space/],
    ['', /nothing/],
    ['a'.repeat(257), /at most 256/],
    ['pandas=2', /expected a name/],
    ['pandas==', /expected a name/],
    ['pandas[', /expected a name/],
    ['pandas[a,]', /expected a name/],
    ['pandas>=1,', /expected a name/],
    ['-pandas', /options/],
    ['pandas-', /expected a name/],
    ['päckchen', /expected a name/],
    ['a$(x)', /expected a name/],
  ])('%j is refused', (spec, message) => {
    expect(refusalOf(spec, 'python')).toMatch(message)
  })

  it('takes one spec for each package', () => {
    expect(() => parsePackageSpecs(['pandas==2.2.3', 'Pandas==2.2.2'], 'python')).toThrow(/one spec for each package/)
  })
})

describe('specs of JavaScript', () => {
  it.each([
    [['zod'], ['zod']],
    [
      ['zod@4.1.0', '@scope/Name@^2', 'left-pad@latest'],
      ['@scope/Name@^2', 'left-pad@latest', 'zod@4.1.0'],
    ],
    [
      ['a@*', 'b@1.x', 'c@>=1.2', 'd@~1.2.3-rc.1+b', 'e@1||2||>=5'],
      ['a@*', 'b@1.x', 'c@>=1.2', 'd@~1.2.3-rc.1+b', 'e@1||2||>=5'],
    ],
  ])('%j become %j', (specs, expected) => {
    expect(parsePackageSpecs(specs, 'javascript')).toEqual(expected)
  })

  it.each([
    ['github:user/repository', /URLs/],
    ['user/repository', /expected a name/],
    ['zod@npm:other@1', /URLs/],
    ['zod@file:../x', /URLs/],
    ['zod@workspace:*', /URLs/],
    ['zod@https://example.com/x.tgz', /URLs/],
    ['git@example.com:x/y', /expected a name/],
    ['./local', /paths/],
    ['-g', /options/],
    ['zod@', /expected a name/],
    ['@scope', /expected a name/],
    ['@scope/', /expected a name/],
    ['@/name', /expected a name/],
    ['@a/b/c', /expected a name/],
    ['.hidden', /expected a name/],
    ['zod@>=1 <2', /white space/],
    ['a'.repeat(215), /expected a name/],
  ])('%j is refused', (spec, message) => {
    expect(refusalOf(spec, 'javascript')).toMatch(message)
  })
})

describe('what is no list of specs', () => {
  it.each([
    ['pandas', 'python'],
    [{ length: 1 }, 'python'],
    [[1], 'python'],
    [['a'], 'bash'],
    [Array.from({ length: 51 }, (_, index) => `p${index}`), 'python'],
  ])('%j for %s', (specs, language) => {
    expect(() => parsePackageSpecs(specs, language)).toThrow(InvalidInputError)
  })

  it('is fine for any language when it is empty', () => {
    expect(parsePackageSpecs([], 'bash')).toEqual([])
  })
})

describe('every spec that is taken', () => {
  const tricky = fc.stringMatching(/^[-a-z@:/.[\],;<>=!~^*| +_$0-9\n\\]{0,12}$/)
  const language = fc.constantFrom('python', 'javascript')

  it('is plain: no option, no path, no URL, nothing that a shell or an installer could take for something else', () => {
    fc.assert(
      fc.property(fc.oneof(tricky, fc.string()), language, (spec, of) => {
        const taken = tryParse([spec], of)
        if (taken === undefined) return
        expect(taken[0]).toMatch(/^[@A-Za-z0-9~][-A-Za-z0-9@/._~[\],<>=!^*|+]*$/)
        expect(taken[0]).not.toMatch(/:|\/\/|\.\.\/|^\/|;/)
      }),
      { numRuns: 20_000 },
    )
  })

  it('is in its final form: parsed again it stays as it is, in any order', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,6}[A-Za-z0-9])?$/)
    const python = fc
      .tuple(name, fc.constantFrom('', '[x,Y_z]', '==1.0', '>=1,<2', '[a]!=1.*'))
      .map(([base, rest]) => `${base}${rest}`)
    fc.assert(
      fc.property(fc.array(python, { minLength: 1, maxLength: 6 }), (specs) => {
        const once = tryParse(specs, 'python')
        if (once === undefined) return
        expect(parsePackageSpecs(once, 'python')).toEqual(once)
        expect(parsePackageSpecs(specs.toReversed(), 'python')).toEqual(once)
      }),
    )
  })
})

function tryParse(specs: readonly string[], language: string): readonly string[] | undefined {
  try {
    return parsePackageSpecs(specs, language)
  } catch (error) {
    if (error instanceof PackageError) return undefined
    throw error
  }
}

function refusalOf(spec: string, language: string): string {
  try {
    parsePackageSpecs([spec], language)
  } catch (error) {
    if (!(error instanceof PackageError)) throw error
    expect(error.retryable).toBe(false)
    expect(error.details.spec).toBeDefined()
    return error.message
  }
  throw new Error(`${spec} was taken`)
}
