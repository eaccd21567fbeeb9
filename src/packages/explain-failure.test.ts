import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { explainFailure, type InstallerEnd } from './explain-failure.ts'

const end = (output: string, changes: Partial<InstallerEnd> = {}): InstallerEnd => ({
  what: 'pandas==99',
  exitCode: 1,
  reason: 'exit',
  output,
  timeoutMs: 600_000,
  ...changes,
})

// What uv 0.13 and Bun 1.4 say.
const CASES: readonly (readonly [string, string, RegExp, boolean])[] = [
  [
    'a package that is not there (uv)',
    'error: No solution found when resolving dependencies\n  cause: Because nosuch was not found in the package registry and you require nosuch, we can conclude that your requirements are unsatisfiable.',
    /no such package/,
    false,
  ],
  ['a package that is not there (Bun)', 'error: GET https://registry.test/nosuch - 404', /no such package/, false],
  [
    'a version that is not there (uv)',
    'error: No solution found when resolving dependencies\n  cause: Because there is no version of pandas==99 and you require pandas==99, we can conclude that your requirements are unsatisfiable.',
    /no version that fits/,
    false,
  ],
  [
    'a version that is not there (Bun)',
    'error: No version matching "99.0.0" found for specifier "zod" (but package exists)\nerror: zod@99.0.0 failed to resolve',
    /no version that fits/,
    false,
  ],
  [
    'a tag that is not there',
    'error: Package "zod" with tag "nosuch" not found, but package exists',
    /no version/,
    false,
  ],
  [
    'specs that exclude each other',
    'error: No solution found when resolving dependencies\n  cause: Because pandas==2.2.3 depends on numpy>=1.23.2 and you require pandas==2.2.3, we can conclude that you require numpy>=1.23.2.\n         And because you require numpy<1.20, we can conclude that your requirements are unsatisfiable.',
    /exclude each other/,
    false,
  ],
  [
    'no wheel',
    'error: No solution found when resolving dependencies\n  cause: Because docopt==0.6.2 has no usable wheels and you require docopt==0.6.2, we can conclude that your requirements are unsatisfiable.',
    /no wheel/,
    false,
  ],
  [
    'a compiler that is missing',
    "error: Failed to build `pycosat==0.6.6`\n  cause: The build backend returned an error\n  cause: Call to `setuptools.build_meta.build_wheel` failed (exit status: 1)\n[stderr]\nerror: command 'x86_64-linux-gnu-gcc' failed: No such file or directory",
    /no compiler in the sandbox image/,
    false,
  ],
  [
    'another compiler that is missing',
    "error: Failed to build `orjson==3.0.0`\nerror: can't find Rust compiler",
    /no compiler in the sandbox image/,
    false,
  ],
  [
    'a build that fails',
    'error: Failed to build `x==1`\n  cause: The build backend returned an error',
    /building it/,
    false,
  ],
  ['a full file system', 'error: failed to copy file: No space left on device (os error 28)', /do not fit/, false],
  [
    'no name resolution (uv)',
    'error: Request failed after 3 retries in 8.6s\n  cause: Failed to fetch: https://index.test/simple/requests/\n  cause: error sending request for url\n  cause: dns error',
    /cannot be reached/,
    true,
  ],
  ['no name resolution (Bun)', 'error: DNSResolveFailed downloading package manifest zod', /cannot be reached/, true],
  ['a refused connection', 'error: ConnectionRefused downloading package manifest zod', /cannot be reached/, true],
  ['an index out of order', 'error: HTTP status server error (503 Service Unavailable) for url', /out of order/, true],
  ['refused access', 'error: HTTP status client error (401 Unauthorized) for url', /refused access/, false],
  [
    'an authority nobody trusts',
    'error: Request failed\n  cause: invalid peer certificate: UnknownIssuer',
    /certificate/,
    false,
  ],
  ['content that is not what was promised', 'error: Hash mismatch for `x==1`', /not what the index promised/, true],
  ['something else', 'error: the dog ate it', /ended with 1/, false],
]

describe('explainFailure', () => {
  it.each(CASES)('knows %s', (_name, output, why, retryable) => {
    const failure = explainFailure(end(`Resolved 12 packages in 278ms\n${output}`))
    expect(failure.message).toMatch(why)
    expect(failure.message).toContain(output.split('\n')[0])
    expect(failure.message).not.toContain('Resolved 12')
    expect(failure.retryable).toBe(retryable)
  })

  it('knows ends that the installer does not tell', () => {
    expect(explainFailure(end('', { reason: 'timeout', exitCode: 124 }))).toMatchObject({
      message: 'Installing pandas==99 failed: it was not done within 600 s',
      retryable: true,
    })
    expect(explainFailure(end('', { reason: 'memory', exitCode: 137 }))).toMatchObject({ retryable: false })
    expect(explainFailure(end('', { reason: 'signal', exitCode: 137 })).message).toContain('signal 9')
  })

  it('is of bounded length and never throws, whatever was written', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 5_000 }), (output) => {
        expect(explainFailure(end(output)).message.length).toBeLessThan(1_300)
      }),
    )
  })
})
