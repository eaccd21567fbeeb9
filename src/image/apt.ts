import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DependencyError, errnoOf, type Logger } from '../base/index.ts'
import { aptFailure } from './apt-failure.ts'
import {
  type AptEntry,
  exchangeSuite,
  parseDeb822Sources,
  parseOneLineSources,
  renderSources,
  type SuiteSources,
} from './apt-sources.ts'
import { CommandError, runCommand } from './run-command.ts'

/** A checked set of package sources for one suite, in files that apt and mmdebstrap read. */
export interface AptRoot {
  readonly suite: string
  /** deb822 file with the entries that answered. */
  readonly sourcesFile: string
  /** The same entries with the source packages beside the compiled ones. */
  readonly sourceCodeFile: string
  /** apt.conf with the machine's own proxies, certificates and credentials; for mmdebstrap, which does not read /etc/apt. */
  readonly configFile: string
  /** Options that make apt-get and apt-cache use this root and nothing of the machine's state. */
  readonly options: readonly string[]
}

export interface AptRootOptions {
  readonly suite: string
  /** Directory that the root may fill. */
  readonly directory: string
  readonly env: NodeJS.ProcessEnv
  readonly signal: AbortSignal
  readonly logger: Logger
}

/** Seconds apt waits for a silent mirror, and its tries: a machine without network fails within a minute. */
const NETWORK_OPTIONS = ['Acquire::Retries=2', 'Acquire::http::Timeout=20', 'Acquire::https::Timeout=20']

/**
 * Makes package sources for `suite` out of the machine's own and asks them for their package lists, with signatures
 * verified. Updates and security suites that do not answer are left out with a warning; the suite itself must.
 */
export async function openAptRoot(options: AptRootOptions): Promise<AptRoot> {
  const { suite, directory, env, signal, logger } = options
  const sources = exchangeSuite(await readMachineSources(), suite, env['EXEC_SANDBOX_DEBIAN_MIRROR'])
  const root = await layOut(suite, directory, signal)
  try {
    await update(root, [sources.base, ...sources.additional], signal)
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    if (sources.additional.length === 0) throw aptFailure(error, suite)
    await updateWithout(root, sources, error, { signal, logger })
  }
  return root
}

/** Downloads one package as a .deb file into `directory` and returns the file's path. */
export async function downloadPackage(
  name: string,
  options: { readonly directory: string; readonly aptOptions: readonly string[]; readonly signal: AbortSignal },
): Promise<string> {
  await mkdir(options.directory, { recursive: true })
  try {
    await runCommand('apt-get', {
      args: [...dashO(['APT::Sandbox::User=root', ...NETWORK_OPTIONS]), ...options.aptOptions, 'download', name],
      cwd: options.directory,
      signal: options.signal,
    })
  } catch (error) {
    throw error instanceof CommandError ? aptFailure(error, undefined) : error
  }
  const file = (await readdir(options.directory)).find((entry) => entry.endsWith('.deb'))
  if (file === undefined) throw new Error(`apt-get download ${name} succeeded but left no .deb file`)
  return join(options.directory, file)
}

/** The version apt would install, or undefined when its sources do not have the package. */
export async function candidateVersion(
  name: string,
  aptOptions: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const { stdout } = await runCommand('apt-cache', { args: [...aptOptions, 'policy', name], signal })
  const version = /^ {2}Candidate: (\S+)$/m.exec(stdout)?.[1]
  return version === '(none)' ? undefined : version
}

async function updateWithout(
  root: AptRoot,
  sources: SuiteSources,
  first: CommandError,
  { signal, logger }: { signal: AbortSignal; logger: Logger },
): Promise<void> {
  try {
    await update(root, [sources.base], signal)
  } catch (error) {
    throw error instanceof CommandError ? aptFailure(error, sources.suite) : error
  }
  const kept: AptEntry[] = [sources.base]
  for (const entry of sources.additional) {
    try {
      await update(root, [...kept, entry], signal)
      kept.push(entry)
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      logger.warn('package source left out: it did not answer', { suite: entry.suites.join(' '), apt: first.output })
    }
  }
  await update(root, kept, signal)
}

async function update(root: AptRoot, entries: readonly AptEntry[], signal: AbortSignal): Promise<void> {
  await writeFile(root.sourcesFile, renderSources(entries))
  await writeFile(root.sourceCodeFile, renderSources(entries.map((entry) => ({ ...entry, types: ['deb', 'deb-src'] }))))
  // Without this mode apt-get update succeeds with old or no lists when a mirror fails.
  await runCommand('apt-get', {
    args: [...dashO(['APT::Update::Error-Mode=any', ...NETWORK_OPTIONS]), ...root.options, 'update'],
    signal,
  })
}

async function layOut(suite: string, directory: string, signal: AbortSignal): Promise<AptRoot> {
  const sourcesDirectory = join(directory, 'sources.list.d')
  for (const name of ['sources.list.d', 'state/lists/partial', 'cache/archives/partial']) {
    await mkdir(join(directory, name), { recursive: true })
  }
  await writeFile(join(directory, 'status'), '')
  const configFile = join(directory, 'acquire.conf')
  await writeFile(configFile, await acquireConfiguration(signal))
  return {
    suite,
    configFile,
    sourcesFile: join(sourcesDirectory, `${suite}.sources`),
    // Beside the directory that apt reads here: only the root that compiles something asks for these lists.
    sourceCodeFile: join(directory, `${suite}-with-source.sources`),
    options: dashO([
      `Dir::State=${join(directory, 'state')}`,
      `Dir::State::status=${join(directory, 'status')}`,
      `Dir::Cache=${join(directory, 'cache')}`,
      'Dir::Etc::sourcelist=/dev/null',
      `Dir::Etc::sourceparts=${sourcesDirectory}`,
      'Dir::Etc::preferences=/dev/null',
      'Dir::Etc::preferencesparts=/dev/null',
      'APT::Architecture=amd64',
      'APT::Architectures=amd64',
      'APT::Sandbox::User=root',
      'APT::Default-Release=',
    ]),
  }
}

/** The machine's apt settings about reaching mirrors, as an apt.conf file. */
async function acquireConfiguration(signal: AbortSignal): Promise<string> {
  const { stdout } = await runCommand('apt-config', { args: ['dump'], signal })
  const kept = stdout.split('\n').filter((line) => /^Acquire::(?:http|https|ftp|socks)[: ]|^Acquire::Check/i.test(line))
  const credentials = ['auth.conf', 'auth.conf.d'].map((name, index) => {
    const option = index === 0 ? 'netrc' : 'netrcparts'
    return `Dir::Etc::${option} "/etc/apt/${name}";`
  })
  const network = NETWORK_OPTIONS.map((option) => option.replace(/=(.*)$/, ' "$1";'))
  return `${[...network, ...kept.filter((line) => !line.endsWith(' "";')), ...credentials].join('\n')}\n`
}

async function readMachineSources(): Promise<AptEntry[]> {
  const entries = parseOneLineSources(await readOptional('/etc/apt/sources.list'))
  let names: string[]
  try {
    names = (await readdir('/etc/apt/sources.list.d')).toSorted()
  } catch {
    names = []
  }
  for (const name of names) {
    const path = join('/etc/apt/sources.list.d', name)
    if (name.endsWith('.sources')) entries.push(...parseDeb822Sources(await readOptional(path)))
    if (name.endsWith('.list')) entries.push(...parseOneLineSources(await readOptional(path)))
  }
  return entries
}

async function readOptional(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return ''
    const fix = `make ${path} readable for this user`
    throw new DependencyError(`The package sources cannot be read: ${fix}`, { dependency: 'apt sources', fix }, error)
  }
}

function dashO(settings: readonly string[]): string[] {
  return settings.flatMap((setting) => ['-o', setting])
}
