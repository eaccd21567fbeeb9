import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isLoopback, parseIndexUrl, withHost } from './index-url.ts'
import { redactor } from './redact.ts'

describe('an index', () => {
  it.each([
    ['https://index.test/simple', 'index.test', 443],
    ['http://index.test/simple/', 'index.test', 80],
    ['https://Index.Test:8443/x?y', 'index.test', 8443],
    ['http://[fd00::1]:80/', 'fd00::1', 80],
  ])('%s is asked at %s:%i', (text, host, port) => {
    expect(parseIndexUrl(text)).toMatchObject({ host, port, secrets: [] })
  })

  it('keeps its credentials apart', () => {
    const index = parseIndexUrl('https://me%40x:p%2Fw@index.test/simple')
    expect(index).toMatchObject({
      href: 'https://me%40x:p%2Fw@index.test/simple',
      shown: 'https://index.test/simple',
      secrets: ['me%40x', 'me@x', 'p%2Fw', 'p/w'],
    })
    expect(withHost(index, 'other.test').href).toBe('https://me%40x:p%2Fw@other.test/simple')
  })

  it.each(['file:///srv/wheels', '/srv/wheels', 'ftp://index.test', '', 'index.test/simple'])('is not %j', (text) => {
    expect(() => parseIndexUrl(text)).toThrow(expect.objectContaining({ code: 'PACKAGE', retryable: false }))
  })

  it('on this machine is known', () => {
    expect(['localhost', '127.0.0.1', '127.1.2.3', '::1'].map(isLoopback)).toEqual([true, true, true, true])
    expect(['index.test', '128.0.0.1', '127.0.0.1.test', 'localhost.test'].map(isLoopback)).toEqual([
      false,
      false,
      false,
      false,
    ])
  })
})

describe('what is shown', () => {
  it('holds no secret, as written or in a URL', () => {
    const redact = redactor(['p%2Fword', 'p/word', 'token'])
    expect(redact('GET https://me:p%2Fword@index.test/simple p/word token')).toBe(
      'GET https://***@index.test/simple *** ***',
    )
    expect(redact('https://someone:else@other.test/ mail@x.test')).toBe('https://***@other.test/ mail@x.test')
  })

  it('never holds a password of a URL', () => {
    const word = fc.stringMatching(/^[A-Za-z0-9!$&()*+,;=~_-]{8,20}$/)
    fc.assert(
      fc.property(word, word, fc.string(), (user, password, rest) => {
        const { href, secrets } = parseIndexUrl(`https://${user}:${password}@index.test/simple`)
        const shown = redactor(secrets)(`${rest}${href} ${password}${rest}`)
        expect(shown).not.toContain(password)
      }),
    )
  })
})
