import { DependencyError } from '../base/index.ts'

/** One entry of apt's package sources, whichever of its two file formats it was written in (sources.list(5)). */
export interface AptEntry {
  readonly types: readonly string[]
  readonly uris: readonly string[]
  readonly suites: readonly string[]
  readonly components: readonly string[]
  /** Option names as in the deb822 format, in lower case: `signed-by`, `check-valid-until`, … */
  readonly options: ReadonlyMap<string, string>
  readonly enabled: boolean
}

/** What a build installs from: entries for one Debian suite. */
export interface SuiteSources {
  readonly suite: string
  readonly base: AptEntry
  /** Updates and security, when the machine has them for its own suite. */
  readonly additional: readonly AptEntry[]
}

/** Names under which Debian publishes suites: a mirror that offers one of them with `main` is a Debian mirror. */
const DEBIAN_SUITES = new Set([
  ...['buster', 'bullseye', 'bookworm', 'trixie', 'forky', 'duke', 'sid'],
  ...['oldoldstable', 'oldstable', 'stable', 'testing', 'unstable'],
])

/**
 * Options that an exchanged entry keeps. `trusted` and `allow-insecure` are left out on purpose: signatures are always
 * verified. Architectures and languages are ours to choose.
 */
const KEPT_OPTIONS = ['signed-by', 'check-valid-until', 'valid-until-max', 'check-date', 'by-hash']

/** Where Debian's package debian-archive-keyring puts the keys of all suites. */
export const DEBIAN_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** Reads a deb822 file (`*.sources`). Stanzas that lack what an entry needs are skipped, as apt would refuse them. */
export function parseDeb822Sources(text: string): AptEntry[] {
  return text.split(/\n(?:[ \t]*\n)+/).flatMap((stanza) => {
    const fields = parseStanza(stanza)
    const types = words(fields.get('types'))
    if (types.length === 0) return []
    const options = new Map([...fields].filter(([name]) => !['types', 'uris', 'suites', 'components'].includes(name)))
    return [
      {
        types,
        uris: words(fields.get('uris')),
        suites: words(fields.get('suites')),
        components: words(fields.get('components')),
        options,
        enabled: !['no', 'false', '0', 'off', 'without', 'disable'].includes(
          fields.get('enabled')?.toLowerCase() ?? '',
        ),
      },
    ]
  })
}

/** Reads a one-line-per-entry file (`sources.list`, `*.list`). */
export function parseOneLineSources(text: string): AptEntry[] {
  return text.split('\n').flatMap((raw) => {
    const line = raw.replace(/#.*$/, '').trim()
    const match = /^(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)(?:\s+(.*))?$/.exec(line)
    if (match === null) return []
    const [, type = '', options = '', uri = '', suite = '', components] = match
    return [
      {
        types: [type],
        uris: [uri],
        suites: [suite],
        components: words(components),
        options: parseOneLineOptions(options),
        enabled: true,
      },
    ]
  })
}

/**
 * The machine's own entries with its Debian suite exchanged for another one. Paths, order of mirrors and signing keys stay as
 * the machine has them.
 * @param mirror `EXEC_SANDBOX_DEBIAN_MIRROR`: used instead of the machine's entries when it is set
 */
export function exchangeSuite(entries: readonly AptEntry[], suite: string, mirror: string | undefined): SuiteSources {
  if (mirror !== undefined && mirror !== '') return sourcesOfMirror(mirror, suite)
  const usable = entries.filter((entry) => entry.enabled && entry.types.includes('deb') && entry.uris.length > 0)
  const offers = (entry: AptEntry, wanted: (name: string) => boolean): boolean =>
    entry.components.includes('main') && entry.suites.some((name) => wanted(name))
  const base = usable.find((entry) => offers(entry, isReleaseSuite))
  if (base === undefined) throw noDebianMirror()
  const additional: AptEntry[] = []
  const updates = usable.find((entry) => offers(entry, isUpdatesSuite))
  if (updates !== undefined) additional.push(withSuite(updates, `${suite}-updates`))
  const security = usable.find((entry) => offers(entry, isSecuritySuite))
  if (security !== undefined) additional.push(withSuite(security, `${suite}-security`))
  return { suite, base: withSuite(base, suite), additional }
}

/** The entries as a deb822 file. */
export function renderSources(entries: readonly AptEntry[]): string {
  return entries.map((entry) => renderStanza(entry)).join('\n')
}

function renderStanza(entry: AptEntry): string {
  const lines = [
    `Types: ${entry.types.join(' ')}`,
    `URIs: ${entry.uris.join(' ')}`,
    `Suites: ${entry.suites.join(' ')}`,
    `Components: ${entry.components.join(' ')}`,
  ]
  for (const [name, value] of entry.options) lines.push(`${titleCase(name)}: ${value}`)
  return `${lines.join('\n')}\n`
}

function withSuite(entry: AptEntry, suite: string): AptEntry {
  const options = new Map([...entry.options].filter(([name]) => KEPT_OPTIONS.includes(name)))
  return { types: ['deb'], uris: entry.uris, suites: [suite], components: ['main'], options, enabled: true }
}

function sourcesOfMirror(mirror: string, suite: string): SuiteSources {
  if (!/^[a-z][a-z+]*:\/?\S+$/i.test(mirror)) {
    const fix = 'set EXEC_SANDBOX_DEBIAN_MIRROR to the URL of a Debian mirror, e.g. one ending in /debian'
    throw new DependencyError(`EXEC_SANDBOX_DEBIAN_MIRROR is not a URL: ${fix}`, { dependency: 'Debian mirror', fix })
  }
  const options = new Map([['signed-by', DEBIAN_KEYRING]])
  const base = { types: ['deb'], uris: [mirror], suites: [suite], components: ['main'], options, enabled: true }
  return { suite, base, additional: [] }
}

function noDebianMirror(): DependencyError {
  const fix =
    'set EXEC_SANDBOX_DEBIAN_MIRROR to the URL of a Debian mirror and run: sudo apt-get install -y debian-archive-keyring'
  return new DependencyError(
    `None of this machine's package sources (/etc/apt) offers Debian's "main", from which the image is made. To mend it, ${fix}`,
    { dependency: 'Debian mirror', fix },
  )
}

function isReleaseSuite(name: string): boolean {
  return DEBIAN_SUITES.has(name)
}

function isUpdatesSuite(name: string): boolean {
  return name.endsWith('-updates') && DEBIAN_SUITES.has(name.slice(0, -'-updates'.length))
}

// `buster/updates` is how the security suite was called up to Debian 10.
function isSecuritySuite(name: string): boolean {
  const match = /^(.*?)(?:-security|\/updates)$/.exec(name)
  return match !== null && DEBIAN_SUITES.has(match[1] ?? '')
}

function parseStanza(stanza: string): Map<string, string> {
  const fields = new Map<string, string>()
  let current: string | undefined
  for (const line of stanza.split('\n')) {
    if (line.startsWith('#') || line.trim() === '') continue
    const match = /^([A-Za-z][A-Za-z0-9-]*):(.*)$/.exec(line)
    if (match !== null) {
      current = (match[1] ?? '').toLowerCase()
      fields.set(current, (match[2] ?? '').trim())
    } else if (current !== undefined && /^[ \t]/.test(line)) {
      // A continuation line, e.g. of a key written into Signed-By; its indentation is part of the format.
      fields.set(current, `${fields.get(current) ?? ''}\n ${line.trim()}`)
    }
  }
  return fields
}

function parseOneLineOptions(text: string): Map<string, string> {
  const names: Readonly<Record<string, string>> = { arch: 'architectures', lang: 'languages', target: 'targets' }
  const options = new Map<string, string>()
  for (const option of words(text)) {
    const [name = '', value = ''] = splitOnce(option, '=')
    options.set(names[name.toLowerCase()] ?? name.toLowerCase(), value.replaceAll(',', ' '))
  }
  return options
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)]
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((word) => word !== '')
}

function titleCase(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase())
}
