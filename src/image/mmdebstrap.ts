import { DependencyError } from '../base/index.ts'
import { type AptRoot } from './apt.ts'
import { aptFailure } from './apt-failure.ts'
import { CommandError, commandEnvironment, runCommand } from './run-command.ts'

/**
 * Time stamp of every file of the image: the day Debian 13 was released. Not 1970, because zip archives cannot hold times before
 * 1980 and Python's zipfile refuses to pack such files.
 */
export const SOURCE_DATE_EPOCH = '1754697600'

export interface MmdebstrapOptions {
  readonly variant: 'minbase' | 'extract'
  readonly packages: readonly string[]
  /** Path patterns that dpkg does not unpack. */
  readonly exclude?: readonly string[]
  readonly hooks?: readonly string[]
  /** A tar file to write, or nothing when the hooks take out what is wanted. */
  readonly tarFile?: string
  readonly root: AptRoot
  /** Whether the hooks may ask for source packages, too. @default false */
  readonly withSource?: boolean
  /** Where the root is made, when run as root. */
  readonly temporaryDirectory: string
  readonly env?: NodeJS.ProcessEnv
  readonly signal: AbortSignal
  readonly onLine?: (line: string) => void
}

/**
 * Runs mmdebstrap: as root directly, otherwise in a user namespace of its own (`--mode=unshare`). Its mounts live in a private mount
 * namespace either way and vanish with it.
 */
export async function runMmdebstrap(options: MmdebstrapOptions): Promise<void> {
  const isRoot = process.getuid?.() === 0
  const env = commandEnvironment({ SOURCE_DATE_EPOCH, DEBIAN_FRONTEND: 'noninteractive', ...options.env })
  // In a user namespace the root is made by another uid, which cannot enter a private home directory.
  if (isRoot) env['TMPDIR'] = options.temporaryDirectory
  else delete env['TMPDIR']
  try {
    // Root's mounts would be the host's: after a build that was killed, removing its root would walk into them.
    const [file, prefix] = isRoot
      ? ['unshare', ['--mount', '--propagation', 'private', 'mmdebstrap']]
      : ['mmdebstrap', []]
    await runCommand(file, {
      args: [...prefix, ...renderArguments(options, isRoot)],
      env,
      signal: options.signal,
      onLine: options.onLine,
    })
  } catch (error) {
    throw error instanceof CommandError ? explain(error, options.root.suite, isRoot) : error
  }
}

function renderArguments(options: MmdebstrapOptions, isRoot: boolean): string[] {
  return [
    `--mode=${isRoot ? 'root' : 'unshare'}`,
    `--variant=${options.variant}`,
    '--architectures=amd64',
    `--format=${options.tarFile === undefined ? 'null' : 'tar'}`,
    // The root is thrown away: cleaning apt's state in it is in vain, and fails where we removed that state.
    '--skip=cleanup/apt,cleanup/reproducible,cleanup/run,cleanup/tmp',
    `--include=${options.packages.join(',')}`,
    `--aptopt=${options.root.configFile}`,
    '--aptopt=APT::Install-Recommends "false"',
    '--aptopt=APT::Install-Suggests "false"',
    ...(options.exclude ?? []).map((path) => `--dpkgopt=path-exclude=${path}`),
    ...(options.hooks ?? []).map((hook) => `--customize-hook=${hook}`),
    options.root.suite,
    options.tarFile ?? '/dev/null',
    options.withSource === true ? options.root.sourceCodeFile : options.root.sourcesFile,
  ]
}

function explain(error: CommandError, suite: string, isRoot: boolean): DependencyError {
  if (!isRoot && /unshare|newuidmap|subuid|user namespace/i.test(error.output)) {
    const fix = `allow user namespaces and give this user subordinate ids (sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "$USER"), or build as root with: sudo sbx image build`
    return new DependencyError(
      `mmdebstrap cannot make a root file system as this user; to mend it, ${fix}.\n${error.output}`,
      { dependency: 'user namespaces', fix },
      error,
    )
  }
  return aptFailure(error, suite)
}
