import type { PackageLanguage } from '../layer/index.ts'
import type { IndexAccess } from './index-access.ts'
import type { IndexUrl } from './index-url.ts'

/** The installer's environment in the guest. @param main the main index, as the guest knows it. Pure. */
export function installEnvironment(
  language: PackageLanguage,
  access: IndexAccess,
  main: IndexUrl,
): Readonly<Record<string, string>> {
  return language === 'python' ? pythonEnvironment(access, main) : { NPMRC: npmrc(access, main) }
}

function pythonEnvironment(access: IndexAccess, main: IndexUrl): Readonly<Record<string, string>> {
  const { further, insecureHosts, secrets } = access
  return {
    UV_DEFAULT_INDEX: main.href,
    ...(further.length === 0 ? {} : { UV_INDEX: further.map(({ index }) => index.href).join(' ') }),
    ...(insecureHosts.length === 0 ? {} : { UV_INSECURE_HOST: insecureHosts.join(' ') }),
    // Building runs code of packages, which could keep what it finds in its environment in the layer.
    ...(secrets.length === 0 ? {} : { UV_NO_BUILD: '1' }),
  }
}

function npmrc(access: IndexAccess, main: IndexUrl): string {
  const lines = [
    `registry=${main.href}`,
    ...access.further.map(({ index, scope }) => `${scope ?? ''}:registry=${index.href}`),
    ...credentialsFor([main, ...access.further.map(({ index }) => index)], access.credentials),
  ]
  // A value cannot hold a line break: it was read from one line, or from a URL.
  return `${lines.join('\n')}\n`
}

/** Of the user's credentials only those of the registries that are asked: others have no business in the guest. */
function credentialsFor(registries: readonly IndexUrl[], credentials: IndexAccess['credentials']): readonly string[] {
  const places = registries.map(placeOf)
  return Object.entries(credentials)
    .filter(([key]) => places.some((place) => place.startsWith(key.slice(0, key.lastIndexOf(':')))))
    .map(([key, value]) => `${key}=${value}`)
}

/** npm's settings name a registry without its scheme, and count for all that stands below it. */
function placeOf(registry: IndexUrl): string {
  return registry.shown.replace(/^https?:/, '')
}

/** The header that authenticates at an index, for whoever reads its pages; undefined when it needs none. Pure. */
export function authorizationFor(index: IndexUrl, credentials: IndexAccess['credentials']): string | undefined {
  const { username, password } = new URL(index.href)
  if (username !== '' || password !== '') {
    return `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`
  }
  const place = placeOf(index)
  const own = (name: string): string | undefined =>
    Object.entries(credentials).find(
      ([key]) => key.endsWith(`:${name}`) && place.startsWith(key.slice(0, -name.length - 1)),
    )?.[1]
  const token = own('_authToken')
  if (token !== undefined) return `Bearer ${token}`
  const basic = own('_auth')
  if (basic !== undefined) return `Basic ${basic}`
  const [user, secret] = [own('username'), own('_password')]
  if (user === undefined || secret === undefined) return undefined
  return `Basic ${Buffer.from(`${user}:${Buffer.from(secret, 'base64').toString()}`).toString('base64')}`
}
