import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DependencyError } from '../base/index.ts'
import { CommandError, runCommand } from './run-command.ts'

export interface BashBuiltinOptions {
  readonly source: string
  /** The shared object to write. */
  readonly object: string
  /** Further compiler flags. */
  readonly flags: readonly string[]
  /** Tar file with the headers of the guest's bash. */
  readonly headers: string
  readonly work: string
  readonly signal: AbortSignal
}

/** glibc of Debian 13: a symbol of a newer version would not load in the guest. */
const GUEST_GLIBC_MINOR = 41

/** Compiles a loadable builtin with the machine's compiler against the headers of the guest's bash. */
export async function compileBashBuiltin(options: BashBuiltinOptions): Promise<void> {
  const { signal, work } = options
  const include = join(work, 'bash-headers')
  await mkdir(include, { recursive: true })
  await runCommand('tar', { args: ['-xf', options.headers, '-C', include, '--no-same-owner'], signal })
  const headerFlags = ['bash', 'bash/include', 'bash/builtins'].map((name) => `-I${join(include, name)}`)
  // The work directory's name must not reach the object: its content is part of a reproducible image.
  const fixed = ['-shared', '-fPIC', '-O2', '-s', `-ffile-prefix-map=${work}=.`, '-Wl,--build-id=none']
  try {
    await runCommand('cc', {
      args: [...fixed, ...headerFlags, ...options.flags, '-o', options.object, options.source],
      signal,
    })
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    const fix = 'sudo apt-get install -y gcc libc6-dev'
    throw new DependencyError(
      `The bash REPL does not compile; if the C library's headers are missing, run: ${fix}\n${error.output}`,
      { dependency: 'C compiler', fix },
      error,
    )
  }
  const { stdout } = await runCommand('objdump', { args: ['-T', options.object], signal })
  const newest = newestGlibcMinor(stdout)
  if (newest <= GUEST_GLIBC_MINOR) return
  const fix = 'build the image on a distribution with glibc 2.41 or older, e.g. Debian 13'
  throw new DependencyError(
    `The bash REPL was linked with glibc 2.${newest}, the guest has 2.${GUEST_GLIBC_MINOR}: ${fix}`,
    {
      dependency: 'C library',
      fix,
    },
  )
}

/** The highest N of the `GLIBC_2.N` symbol versions in `objdump -T` output; 0 when there is none. */
export function newestGlibcMinor(symbols: string): number {
  return Math.max(0, ...[...symbols.matchAll(/GLIBC_2\.(\d+)/g)].map((match) => Number(match[1])))
}
