import { describe, expect, test } from 'vitest'
import { DependencyError } from '../base/index.ts'
import { exchangeSuite, parseDeb822Sources, parseOneLineSources, renderSources } from './apt-sources.ts'

const deb822 = `# a comment
Types: deb deb-src
# a comment inside a stanza
URIs: http://mirror.test/some/path/debian
  http://second.test/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
Trusted: yes
Check-Valid-Until: no

Types: deb
URIs: http://security.test/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://disabled.test/debian
Suites: trixie
Components: main
`

describe('reading apt sources', () => {
  test('deb822 stanzas with comments, continuation lines and several values', () => {
    const entries = parseDeb822Sources(deb822)
    expect(entries).toHaveLength(3)
    expect(entries[0]).toMatchObject({
      types: ['deb', 'deb-src'],
      uris: ['http://mirror.test/some/path/debian', 'http://second.test/debian'],
      suites: ['bookworm', 'bookworm-updates'],
      components: ['main', 'contrib'],
      enabled: true,
    })
    expect(entries[2]?.enabled).toBe(false)
  })

  test('a key written into Signed-By survives reading and writing', () => {
    const stanza = `Types: deb
URIs: http://mirror.test/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBGPL
 -----END PGP PUBLIC KEY BLOCK-----
`
    const sources = exchangeSuite(parseDeb822Sources(stanza), 'trixie', undefined)
    const written = renderSources([sources.base])
    expect(written).toContain('Suites: trixie')
    expect(written).toContain(
      '\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBGPL\n -----END PGP PUBLIC KEY BLOCK-----',
    )
  })

  test('one-line entries with options and trailing comments', () => {
    const text = `
# deb http://off.test/debian bookworm main
deb [arch=amd64,i386 signed-by=/etc/apt/keyrings/x.gpg] https://mirror.test/debian/ bookworm main contrib # here
deb-src http://mirror.test/debian bookworm main
nonsense
`
    const entries = parseOneLineSources(text)
    expect(entries).toHaveLength(2)
    expect(entries[0]?.components).toEqual(['main', 'contrib'])
    expect(Object.fromEntries(entries[0]?.options ?? [])).toEqual({
      architectures: 'amd64 i386',
      'signed-by': '/etc/apt/keyrings/x.gpg',
    })
  })
})

describe('exchanging the suite', () => {
  test('takes mirrors, paths and keys from the machine, and its security and updates entries', () => {
    const sources = exchangeSuite(parseDeb822Sources(deb822), 'trixie', undefined)
    const written = renderSources([sources.base, ...sources.additional])
    expect(sources.base.uris).toEqual(['http://mirror.test/some/path/debian', 'http://second.test/debian'])
    expect(sources.additional.map((entry) => entry.suites[0])).toEqual(['trixie-updates', 'trixie-security'])
    expect(sources.additional[1]?.uris).toEqual(['http://security.test/debian-security'])
    expect(written).toContain('Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg')
    expect(written).toContain('Check-Valid-Until: no')
    expect(written).not.toContain('bookworm')
    expect(written).not.toContain('contrib')
  })

  test('never carries over what turns signatures off', () => {
    const text = 'deb [trusted=yes allow-insecure=yes] http://mirror.test/debian bookworm main\n'
    const written = renderSources([exchangeSuite(parseOneLineSources(text), 'trixie', undefined).base])
    expect(written.toLowerCase()).not.toMatch(/trusted|insecure/)
  })

  test.each([
    ['no entries at all', ''],
    ['another distribution', 'deb http://mirror.test/ubuntu noble main universe\n'],
    ['a Debian suite without main', 'deb http://mirror.test/debian bookworm contrib\n'],
    ['only third parties', 'deb http://vendor.test/apt stable-vendor main\n'],
    ['only sources', 'deb-src http://mirror.test/debian bookworm main\n'],
  ])('%s is an error that names the variable to set', (_, text) => {
    const exchange = (): unknown => exchangeSuite(parseOneLineSources(text), 'trixie', undefined)
    expect(exchange).toThrow(DependencyError)
    expect(exchange).toThrow(/EXEC_SANDBOX_DEBIAN_MIRROR/)
  })

  test('the variable wins, with Debian’s own keyring', () => {
    const sources = exchangeSuite(parseDeb822Sources(deb822), 'trixie', 'https://own.test/debian')
    expect(sources.base.uris).toEqual(['https://own.test/debian'])
    expect(sources.base.options.get('signed-by')).toBe('/usr/share/keyrings/debian-archive-keyring.gpg')
    expect(sources.additional).toEqual([])
    expect(() => exchangeSuite([], 'trixie', 'not a url')).toThrow(DependencyError)
  })
})
