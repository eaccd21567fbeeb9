import { PackageError } from '../base/index.ts'

/** An index or registry as the guest asks it. */
export interface IndexUrl {
  /** With credentials, if it has some. */
  readonly href: string
  /** Without them: what may be shown and kept. */
  readonly shown: string
  readonly scheme: 'http' | 'https'
  readonly host: string
  readonly port: number
  /** What must not be seen anywhere: user name and password, as written and decoded. */
  readonly secrets: readonly string[]
}

/**
 * Reads an index's URL.
 * @throws PackageError, not retryable, for anything but http and https: a directory of the host is not in the guest
 */
export function parseIndexUrl(text: string): IndexUrl {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new PackageError('Package index: expected a URL with http or https', {}, { retryable: false })
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    const message = `Package index: expected a URL with http or https, got one with ${url.protocol}`
    throw new PackageError(message, {}, { retryable: false })
  }
  const shown = new URL(url.href)
  shown.username = ''
  shown.password = ''
  const scheme = url.protocol === 'https:' ? 'https' : 'http'
  return {
    href: url.href,
    shown: shown.href,
    scheme,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port),
    secrets: secretsOf(url),
  }
}

function secretsOf({ username, password }: URL): readonly string[] {
  const both = [username, password].filter((part) => part !== '')
  return [...new Set(both.flatMap((part) => [part, decoded(part)]))]
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** Whether a host is this machine itself as it names itself: the guest knows it by another name. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

/** The same URL with another host. */
export function withHost(index: IndexUrl, host: string): IndexUrl {
  const replace = (href: string): string => {
    const url = new URL(href)
    url.hostname = host
    return url.href
  }
  return { ...index, host, href: replace(index.href), shown: replace(index.shown) }
}
