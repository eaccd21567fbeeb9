import { InvalidInputError, PackageError } from '../base/index.ts'

/** Languages that packages can be installed for. */
export const PACKAGE_LANGUAGES = ['python', 'javascript'] as const
export type PackageLanguage = (typeof PACKAGE_LANGUAGES)[number]

/** Packages of one sandbox (semantics §4), and characters of one spec: the longest names have 214. */
const MAX_SPECS = 50
const MAX_SPEC_LENGTH = 256

/**
 * Checks package specs and puts them in one form: names normalized, no doubles, in order. Two lists that ask for the same
 * become equal. Pure.
 *
 * Python: a name with extras and version specifiers as in PEP 508, without white space, markers and URLs. JavaScript: a name,
 * or one with a scope, and behind an `@` a version, a range or a tag. Nothing else, so that no spec can name a file, a
 * repository, a URL or an option of the installer.
 * @throws InvalidInputError when it is not a list of strings, or for a language without packages
 * @throws PackageError, not retryable, for a spec that is refused
 */
export function parsePackageSpecs(specs: unknown, language: string): readonly string[] {
  if (!Array.isArray(specs)) throw invalid(`packages: expected an array of strings, got ${typeof specs}`)
  if (specs.length === 0) return []
  const of = packageLanguage(language)
  if (of === undefined) {
    throw invalid(`packages: expected the language ${PACKAGE_LANGUAGES.join(' or ')}, got ${JSON.stringify(language)}`)
  }
  if (specs.length > MAX_SPECS) throw invalid(`packages: expected at most ${MAX_SPECS} entries, got ${specs.length}`)
  const parse = of === 'python' ? parsePython : parseJavascript
  const byName = new Map<string, string>()
  for (const spec of specs) {
    if (typeof spec !== 'string') throw invalid(`packages: expected strings, got ${typeof spec}`)
    const { name, text } = parse(checkShape(spec))
    const other = byName.get(name)
    if (other !== undefined && other !== text) {
      throw refuse(spec, `expected one spec for each package, got ${JSON.stringify(other)} as well`)
    }
    byName.set(name, text)
  }
  return [...byName.values()].toSorted((left, right) => (left < right ? -1 : 1))
}

/** The language, if packages can be installed for it. */
export function packageLanguage(language: string): PackageLanguage | undefined {
  return PACKAGE_LANGUAGES.find((name) => name === language)
}

interface ParsedSpec {
  /** As the registry compares names. */
  readonly name: string
  readonly text: string
}

/** What a spec is taken for that is none, and what to do instead: said before the grammar is. */
const MISTAKES: readonly { readonly pattern: RegExp; readonly why: string }[] = [
  { pattern: /^-/, why: 'options of the installer are not taken' },
  {
    pattern: /^(?:\.{0,2}\/|~\/|[A-Za-z]:\\)|\\/,
    why: 'paths are not taken: upload the file and install it in the sandbox',
  },
  {
    pattern:
      /^(?:[a-z+]+:)?\/\/|^(?:file|git|git\+\w+|https?|github|link|workspace|npm):|@(?:file|git\+?\w*|https?|npm|link|workspace):/i,
    why: 'URLs, repositories and aliases are not taken, only packages of the index by their names',
  },
  { pattern: /;/, why: 'environment markers are not taken: the environment is known' },
  // oxlint-disable-next-line no-control-regex
  { pattern: /[\s\u0000-\u001f\u007f]/, why: 'white space is not taken: write pandas>=2,<3' },
]

function checkShape(spec: string): string {
  if (spec === '') throw refuse(spec, 'expected a name, got nothing')
  if (spec.length > MAX_SPEC_LENGTH) {
    throw refuse(`${spec.slice(0, 64)}…`, `expected at most ${MAX_SPEC_LENGTH} characters, got ${spec.length}`)
  }
  const mistake = MISTAKES.find(({ pattern }) => pattern.test(spec))
  if (mistake !== undefined) throw refuse(spec, mistake.why)
  return spec
}

/** PEP 508's name. */
const PYTHON_NAME = '[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?'
/** What a version may look like: the installer knows PEP 440 in full. */
const PYTHON_CLAUSE = '(?:===|==|!=|<=|>=|~=|<|>)[A-Za-z0-9][A-Za-z0-9.!+_-]*(?:\\.\\*)?'
const PYTHON = new RegExp(
  `^(?<name>${PYTHON_NAME})(?:\\[(?<extras>${PYTHON_NAME}(?:,${PYTHON_NAME})*)\\])?(?<versions>${PYTHON_CLAUSE}(?:,${PYTHON_CLAUSE})*)?$`,
)

function parsePython(spec: string): ParsedSpec {
  const parts = PYTHON.exec(spec)?.groups
  if (parts === undefined) {
    throw refuse(spec, 'expected a name, extras and versions, such as pandas, pandas==2.2.3, httpx[http2]>=0.27,<1')
  }
  const name = pythonName(parts['name'] ?? '')
  const extras = sorted((parts['extras'] ?? '').split(',').filter(Boolean).map(pythonName))
  const versions = sorted((parts['versions'] ?? '').split(',').filter(Boolean))
  const text = `${name}${extras.length === 0 ? '' : `[${extras.join(',')}]`}${versions.join(',')}`
  return { name, text }
}

/** PEP 503: case and the three separators do not count. */
function pythonName(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]+/g, '-')
}

const NPM_NAME = '(?:@[A-Za-z0-9~-][A-Za-z0-9._~-]*\\/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*'
/** One comparator of a range, or a version or tag. */
const NPM_COMPARATOR = '(?:\\*|(?:\\^|~|>=|<=|>|<|=)?[A-Za-z0-9][A-Za-z0-9.+_*-]*)'
const NPM = new RegExp(`^(?<name>${NPM_NAME})(?:@(?<version>${NPM_COMPARATOR}(?:\\|\\|${NPM_COMPARATOR})*))?$`)
const MAX_NPM_NAME = 214

function parseJavascript(spec: string): ParsedSpec {
  const { name, version } = NPM.exec(spec)?.groups ?? {}
  if (name === undefined || name.length > MAX_NPM_NAME) {
    throw refuse(
      spec,
      'expected a name and a version, range or tag, such as zod, zod@4.1.0, @scope/name@^2, left-pad@latest',
    )
  }
  return { name, text: version === undefined ? name : `${name}@${version}` }
}

function sorted(values: readonly string[]): readonly string[] {
  return [...new Set(values)].toSorted((left, right) => (left < right ? -1 : 1))
}

function invalid(message: string): InvalidInputError {
  return new InvalidInputError(message, { field: 'packages' })
}

function refuse(spec: string, why: string): PackageError {
  return new PackageError(`Package spec ${JSON.stringify(spec)} is refused: ${why}`, { spec }, { retryable: false })
}
