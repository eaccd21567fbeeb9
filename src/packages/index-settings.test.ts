import { describe, expect, it } from 'vitest'
import { npmRegistryFrom, pythonIndexFrom } from './index-settings.ts'

const file = (text: string) => ({ path: '/etc/pip.conf', text })

describe('the Python index', () => {
  it("is the tool's own default where nothing is set", () => {
    expect(pythonIndexFrom({}, [])).toEqual({ indexUrl: undefined, extraIndexUrls: [], trustedHosts: [] })
    expect(pythonIndexFrom({ PIP_INDEX_URL: '' }, [file('[global]\ncert = /x')])).toMatchObject({ indexUrl: undefined })
  })

  it("comes from pip's files: later ones, and the section of the command, count more", () => {
    const files = [
      file('[global]\nindex-url = https://one.test/simple\nextra_index_url: https://a.test/s\n   https://b.test/s\n'),
      file(
        '# mine\n[install]\nindex-url=https://two.test/simple ; kept\n[global]\nindex-url=https://three.test/simple\n',
      ),
    ]
    expect(pythonIndexFrom({}, files)).toEqual({
      indexUrl: 'https://two.test/simple ; kept',
      extraIndexUrls: ['https://a.test/s', 'https://b.test/s'],
      trustedHosts: [],
    })
  })

  it('comes from the environment first, from that of uv before that of pip', () => {
    const files = [file('[global]\nindex-url = https://file.test/s\ntrusted-host = file.test other.test:8443')]
    const pip = { PIP_INDEX_URL: 'https://pip.test/s', PIP_EXTRA_INDEX_URL: 'https://x.test/s  https://y.test/s' }
    expect(pythonIndexFrom(pip, files)).toEqual({
      indexUrl: 'https://pip.test/s',
      extraIndexUrls: ['https://x.test/s', 'https://y.test/s'],
      trustedHosts: ['file.test', 'other.test:8443'],
    })
    const uv = { ...pip, UV_DEFAULT_INDEX: 'main=https://uv.test/s', UV_INDEX: 'gpu=https://gpu.test/s' }
    expect(pythonIndexFrom(uv, files)).toMatchObject({
      indexUrl: 'https://uv.test/s',
      extraIndexUrls: ['https://gpu.test/s'],
    })
  })
})

describe('the npm registry', () => {
  it("is the tool's own default where nothing is set", () => {
    expect(npmRegistryFrom({}, [file('fund=false\n')])).toEqual({ registryUrl: undefined, scopes: {}, credentials: {} })
  })

  it('comes from the files with its scopes and credentials, and the environment counts more', () => {
    const files = [
      file('registry=https://one.test/\n'),
      file(
        'registry = "https://two.test/npm/"\n@mine:registry=https://mine.test/\n//mine.test/:_authToken=${TOKEN}\n//two.test/npm/:_auth=${NOT_SET}\nemail=x@y.test\n',
      ),
    ]
    expect(npmRegistryFrom({ TOKEN: 'secret' }, files)).toEqual({
      registryUrl: 'https://two.test/npm/',
      scopes: { '@mine': 'https://mine.test/' },
      credentials: { '//mine.test/:_authToken': 'secret', '//two.test/npm/:_auth': '${NOT_SET}' },
    })
    expect(npmRegistryFrom({ npm_config_registry: 'https://env.test/' }, files).registryUrl).toBe('https://env.test/')
    expect(npmRegistryFrom({ NPM_CONFIG_REGISTRY: 'https://env.test/' }, files).registryUrl).toBe('https://env.test/')
  })
})
