import { describe, expect, it } from 'vitest'
import { npmAccess, pythonAccess } from './index-access.ts'
import { parseIndexUrl } from './index-url.ts'
import { authorizationFor, installEnvironment } from './install-environment.ts'

const nothing = { indexUrl: undefined, extraIndexUrls: [], trustedHosts: [] }
const noNpm = { registryUrl: undefined, scopes: {}, credentials: {} }

describe('where Python packages come from', () => {
  it('is the default of the tool, the settings, or the options, in that order', () => {
    expect(pythonAccess({}, nothing)).toMatchObject({ main: undefined, further: [], fingerprint: 'default' })
    const settings = { indexUrl: 'https://a.test/s', extraIndexUrls: ['https://b.test/s'], trustedHosts: ['a.test'] }
    const own = pythonAccess({}, settings)
    expect(own.main?.host).toBe('a.test')
    expect(own.further.map(({ index }) => index.host)).toEqual(['b.test'])
    const given = pythonAccess({ pythonIndexUrl: 'https://c.test/s' }, settings)
    expect(given).toMatchObject({ main: { host: 'c.test' }, further: [] })
  })

  it('has a fingerprint that differs with every part of it but the credentials, and holds none', () => {
    const of = (indexUrl: string | undefined, ...extraIndexUrls: readonly string[]): string =>
      pythonAccess({}, { ...nothing, indexUrl, extraIndexUrls }).fingerprint
    const all = [
      of(undefined),
      of('https://a.test/s'),
      of('https://a.test/t'),
      of('https://a.test/s', 'https://b.test/'),
    ]
    expect(new Set(all).size).toBe(4)
    expect(of('https://me:secret@a.test/s')).toBe(of('https://a.test/s'))
    expect(of('https://a.test/token-in-path')).toMatch(/^[0-9a-f]{20}$/)
  })

  it('reaches uv as its own variables, and nothing is built where there are credentials', () => {
    const plain = pythonAccess(
      {},
      { indexUrl: 'https://a.test/s', extraIndexUrls: ['https://b.test/s'], trustedHosts: ['x'] },
    )
    const main = plain.main ?? expect.fail()
    expect(installEnvironment('python', plain, main)).toEqual({
      UV_DEFAULT_INDEX: 'https://a.test/s',
      UV_INDEX: 'https://b.test/s',
      UV_INSECURE_HOST: 'x',
    })
    const secret = pythonAccess({}, { ...nothing, indexUrl: 'https://me:secret@a.test/s' })
    expect(installEnvironment('python', secret, secret.main ?? expect.fail())).toEqual({
      UV_DEFAULT_INDEX: 'https://me:secret@a.test/s',
      UV_NO_BUILD: '1',
    })
  })
})

describe('where JavaScript packages come from', () => {
  const settings = {
    registryUrl: 'https://a.test/npm/',
    scopes: { '@mine': 'https://mine.test/' },
    credentials: {
      '//a.test/npm/:_authToken': 'token-a',
      '//mine.test/:_auth': Buffer.from('me:word').toString('base64'),
      '//elsewhere.test/:_authToken': 'token-b',
    },
  }

  it('reaches Bun as settings of npm, with the credentials of the registries that are asked and no others', () => {
    const access = npmAccess({}, settings)
    const { NPMRC = '' } = installEnvironment('javascript', access, access.main ?? expect.fail())
    expect(NPMRC.split('\n')).toEqual([
      'registry=https://a.test/npm/',
      '@mine:registry=https://mine.test/',
      '//a.test/npm/:_authToken=token-a',
      `//mine.test/:_auth=${settings.credentials['//mine.test/:_auth']}`,
      '',
    ])
    expect(access.secrets).toEqual(expect.arrayContaining(['token-a', 'me:word', 'word', 'token-b']))
  })

  it('is authenticated as npm does', () => {
    const at = (url: string): string | undefined => authorizationFor(parseIndexUrl(url), settings.credentials)
    expect(at('https://a.test/npm/')).toBe('Bearer token-a')
    expect(at('https://a.test/other/')).toBeUndefined()
    expect(at('https://mine.test/')).toBe(`Basic ${Buffer.from('me:word').toString('base64')}`)
    expect(at('https://me%40x:p%2Fw@b.test/')).toBe(`Basic ${Buffer.from('me@x:p/w').toString('base64')}`)
    const split = { '//c.test/:username': 'me', '//c.test/:_password': Buffer.from('word').toString('base64') }
    expect(authorizationFor(parseIndexUrl('https://c.test/'), split)).toBe(at('https://me:word@d.test/'))
    expect(npmAccess({}, noNpm)).toMatchObject({ main: undefined, fingerprint: 'default', secrets: [] })
  })
})
