import { createHash } from 'node:crypto'
import type { PackageLanguage } from '../layer/index.ts'
import { type IndexUrl, parseIndexUrl } from './index-url.ts'
import type { NpmRegistry, PythonIndex } from './index-settings.ts'
import type { PackagesOptions } from './packages-options.ts'

/** Where the packages of one language come from. */
export interface IndexAccess {
  /** The main index; undefined: the tool's own default, which the tool itself is asked for. */
  readonly main: IndexUrl | undefined
  /** Asked besides: further Python indexes, and the registries of scopes. */
  readonly further: readonly FurtherIndex[]
  /** Hosts whose certificates are not checked. */
  readonly insecureHosts: readonly string[]
  /** npm's settings that authenticate. */
  readonly credentials: Readonly<Record<string, string>>
  /** Stands for all of it in a layer's key, without any secret. */
  readonly fingerprint: string
  /** What must not be seen anywhere. */
  readonly secrets: readonly string[]
}

export interface FurtherIndex {
  readonly index: IndexUrl
  /** The scope whose packages it has, `@name`; undefined: any. */
  readonly scope: string | undefined
}

/** @throws PackageError for a setting that is no URL with http or https */
export function pythonAccess(options: PackagesOptions, settings: PythonIndex): IndexAccess {
  const own = options.pythonIndexUrl !== undefined
  const url = options.pythonIndexUrl ?? settings.indexUrl
  const further = options.pythonExtraIndexUrls ?? (own ? [] : settings.extraIndexUrls)
  return accessOf('python', {
    main: url === undefined ? undefined : parseIndexUrl(url),
    further: further.map((each) => ({ index: parseIndexUrl(each), scope: undefined })),
    insecureHosts: settings.trustedHosts,
    credentials: {},
  })
}

/** @throws PackageError for a setting that is no URL with http or https */
export function npmAccess(options: PackagesOptions, settings: NpmRegistry): IndexAccess {
  const url = options.npmRegistryUrl ?? settings.registryUrl
  return accessOf('javascript', {
    main: url === undefined ? undefined : parseIndexUrl(url),
    further: Object.entries(settings.scopes).map(([scope, each]) => ({ index: parseIndexUrl(each), scope })),
    insecureHosts: [],
    credentials: settings.credentials,
  })
}

function accessOf(language: PackageLanguage, parts: Omit<IndexAccess, 'fingerprint' | 'secrets'>): IndexAccess {
  const { main, further, credentials } = parts
  const all = [...(main === undefined ? [] : [main]), ...further.map(({ index }) => index)]
  const secrets = [...all.flatMap((index) => index.secrets), ...Object.entries(credentials).flatMap(secretsOf)]
  return { ...parts, fingerprint: fingerprintOf(language, parts), secrets: [...new Set(secrets)] }
}

/** npm's `_auth` and `_password` are base64 of what must not be seen either. */
function secretsOf([key, value]: readonly [string, string]): readonly string[] {
  if (!/:(?:_auth|_password)$/.test(key)) return [value]
  const text = Buffer.from(value, 'base64').toString()
  return [value, text, ...text.split(':')]
}

/** A digest, because even a URL's path may be a secret. */
function fingerprintOf(language: PackageLanguage, { main, further }: Pick<IndexAccess, 'main' | 'further'>): string {
  if (main === undefined && further.length === 0) return 'default'
  const fields = [language, main?.shown ?? null, further.map(({ index, scope }) => [index.shown, scope ?? null])]
  return createHash('sha256').update(JSON.stringify(fields)).digest('hex').slice(0, 20)
}
