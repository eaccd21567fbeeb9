import { getProxyForUrl } from 'proxy-from-env'

/** What the host's environment says about a connection. */
export type ProxyChoice =
  | { readonly kind: 'direct' }
  | { readonly kind: 'proxy'; readonly url: URL }
  | { readonly kind: 'unusable'; readonly reason: string }

/** Says which proxy the host uses for a name or address (IPv6 without brackets) and a port. */
export type ChooseProxy = (host: string, port: number) => ProxyChoice

/**
 * The choice of the variables `HTTPS_PROXY`, `HTTP_PROXY` (port 80 only), `ALL_PROXY` and `NO_PROXY`, in capital or small
 * letters, as they are now. Every port but 80 goes by `HTTPS_PROXY`, because a proxy carries it in the same way: by CONNECT.
 */
export function proxyOfEnvironment(host: string, port: number): ProxyChoice {
  const scheme = port === 80 ? 'http' : 'https'
  const asked = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`
  // The library takes what is no URL for something that goes by no proxy; a label such as `xn--a` is none.
  if (!URL.canParse(asked)) return { kind: 'unusable', reason: `no proxy can be chosen for the name ${host}` }
  const text = getProxyForUrl(asked)
  if (text === '') return { kind: 'direct' }
  const url = URL.canParse(text) ? new URL(withoutInventedScheme(text)) : undefined
  if (url === undefined || url.hostname === '') {
    return { kind: 'unusable', reason: 'the proxy that the environment names is not a URL' }
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return { kind: 'unusable', reason: `expected a proxy with http: or https:, got ${url.protocol}` }
  }
  return { kind: 'proxy', url }
}

// The library gives `HTTPS_PROXY=proxy:3128` the scheme of what is asked for. Everybody else takes it for http, curl first.
function withoutInventedScheme(text: string): string {
  const bare = text.replace(/^https:\/\//, '')
  const written = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'].map((name) => process.env[name])
  return bare !== text && written.includes(bare) ? `http://${bare}` : text
}
