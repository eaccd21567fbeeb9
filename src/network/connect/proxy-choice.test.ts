import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { proxyOfEnvironment } from './proxy-choice.ts'

const VARIABLES = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy']

beforeEach(() => {
  for (const name of VARIABLES) {
    vi.stubEnv(name, '')
    vi.stubEnv(name.toUpperCase(), '')
  }
})

afterEach(() => {
  vi.unstubAllEnvs()
})

function chosen(host: string, port: number): string {
  const choice = proxyOfEnvironment(host, port)
  if (choice.kind === 'proxy') return choice.url.href
  return choice.kind === 'direct' ? 'direct' : choice.reason
}

test('without variables everything is direct', () => {
  expect([chosen('example.com', 443), chosen('192.0.2.1', 22)]).toEqual(['direct', 'direct'])
})

test('HTTP_PROXY is for port 80, HTTPS_PROXY for every other', () => {
  vi.stubEnv('HTTP_PROXY', 'http://plain:1')
  vi.stubEnv('https_proxy', 'https://user:pass@secure:2')
  expect([chosen('a.example', 80), chosen('a.example', 443), chosen('2606:2800::1', 22)]).toEqual([
    'http://plain:1/',
    'https://user:pass@secure:2/',
    'https://user:pass@secure:2/',
  ])
})

test('ALL_PROXY is for what the others leave, NO_PROXY for what goes by none', () => {
  vi.stubEnv('ALL_PROXY', 'http://all:1')
  vi.stubEnv('NO_PROXY', '.corp.example,192.0.2.1,exact.example:443')
  expect([
    chosen('a.example', 80),
    chosen('git.corp.example', 443),
    chosen('192.0.2.1', 443),
    chosen('exact.example', 443),
    chosen('exact.example', 80),
  ]).toEqual(['http://all:1/', 'direct', 'direct', 'direct', 'http://all:1/'])
})

test('a proxy without a scheme speaks HTTP, whatever is asked for', () => {
  vi.stubEnv('HTTPS_PROXY', 'proxy.example:3128')
  expect(chosen('a.example', 443)).toBe('http://proxy.example:3128/')
  vi.stubEnv('HTTPS_PROXY', 'https://proxy.example:3128')
  expect(chosen('a.example', 443)).toBe('https://proxy.example:3128/')
})

test('what is no HTTP proxy is said to be unusable, never passed by', () => {
  vi.stubEnv('ALL_PROXY', 'socks5://proxy:1080')
  expect(chosen('a.example', 443)).toBe('expected a proxy with http: or https:, got socks5:')
  vi.stubEnv('ALL_PROXY', 'http://[broken')
  expect(chosen('a.example', 443)).toBe('the proxy that the environment names is not a URL')
})

test('a name that is no URL is not taken past the proxy', () => {
  vi.stubEnv('ALL_PROXY', 'http://all:1')
  expect(chosen('xn--a.example', 443)).toBe('no proxy can be chosen for the name xn--a.example')
})
