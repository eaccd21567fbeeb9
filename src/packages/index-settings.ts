import { parseIni } from './ini.ts'

/** Where Python's packages come from. URLs may hold credentials. */
export interface PythonIndex {
  /** Undefined: the tool's own default. */
  readonly indexUrl: string | undefined
  readonly extraIndexUrls: readonly string[]
  /** Hosts whose certificate is not checked, as pip's `trusted-host`. */
  readonly trustedHosts: readonly string[]
}

/** Where JavaScript's packages come from. */
export interface NpmRegistry {
  /** Undefined: the tool's own default. */
  readonly registryUrl: string | undefined
  /** `@scope` → URL of its registry. */
  readonly scopes: Readonly<Record<string, string>>
  /** Settings that authenticate: `//host/path/:_authToken` and the like → value. */
  readonly credentials: Readonly<Record<string, string>>
}

/** A configuration file's text, in the order in which the tool reads them: later ones count more. */
export interface ConfigurationFile {
  readonly path: string
  readonly text: string
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * What uv's and pip's own settings say: uv's environment first, then pip's, then pip's files, of which a section of the command
 * counts more than `[global]`. Pure.
 */
export function pythonIndexFrom(env: Environment, files: readonly ConfigurationFile[]): PythonIndex {
  const fromFiles = new Map<string, string>()
  for (const { text } of files) {
    const sections = parseIni(text, { continuations: true, delimiters: /[=:]/ })
    for (const name of ['global', 'install']) {
      for (const [key, value] of sections.get(name) ?? []) fromFiles.set(key.toLowerCase().replaceAll('_', '-'), value)
    }
  }
  const pip = (key: string): string | undefined =>
    nonEmpty(env[`PIP_${key.toUpperCase().replaceAll('-', '_')}`]) ?? nonEmpty(fromFiles.get(key))
  const uvIndexes = words(env['UV_INDEX'] ?? env['UV_EXTRA_INDEX_URL']).map(withoutName)
  const extra = uvIndexes.length > 0 ? uvIndexes : words(pip('extra-index-url'))
  const indexUrl = nonEmpty(env['UV_DEFAULT_INDEX']) ?? nonEmpty(env['UV_INDEX_URL']) ?? pip('index-url')
  return {
    indexUrl: indexUrl === undefined ? undefined : withoutName(indexUrl),
    extraIndexUrls: [...new Set(extra)],
    trustedHosts: [...new Set([...words(env['UV_INSECURE_HOST']), ...words(pip('trusted-host'))])],
  }
}

/** What npm's own settings say: the environment first (`npm_config_…`, in any case), then the files. Pure. */
export function npmRegistryFrom(env: Environment, files: readonly ConfigurationFile[]): NpmRegistry {
  const scopes: Record<string, string> = {}
  const credentials: Record<string, string> = {}
  let registryUrl: string | undefined
  for (const { text } of files) {
    const top = parseIni(text, { continuations: false, delimiters: /=/ }).get('')
    for (const [key, raw] of top ?? []) {
      const value = expand(raw, env)
      if (value === '') continue
      if (key === 'registry') registryUrl = value
      else if (/^@[^:/]+:registry$/.test(key)) scopes[key.slice(0, key.indexOf(':'))] = value
      else if (/^\/\/.+:(?:_authToken|_auth|username|_password)$/.test(key)) credentials[key] = value
    }
  }
  const named = Object.entries(env).find(([name]) => name.toLowerCase() === 'npm_config_registry')?.[1]
  return { registryUrl: nonEmpty(named) ?? registryUrl, scopes, credentials }
}

/** npm puts the environment's values in the place of `${NAME}`; a name that is not set stays as it is. */
function expand(value: string, env: Environment): string {
  return value.replaceAll(/\$\{([^}]+)\}/g, (whole, name: string) => env[name] ?? whole)
}

/** uv's indexes may have a name in front: `name=URL`. */
function withoutName(url: string): string {
  return url.replace(/^[A-Za-z0-9_.-]+=(?=[a-z]+:\/\/)/, '')
}

function words(value: string | undefined): readonly string[] {
  return (value ?? '').split(/\s+/).filter(Boolean)
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value
}
