import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DependencyError } from '../base/index.ts'
import { guestDirectory } from './recipe.ts'
import { CommandError, commandEnvironment, runCommand } from './run-command.ts'

export interface BuildAgentOptions {
  readonly cargo: string
  /** Cargo's target directory, kept between builds: a change to the agent compiles the agent alone. */
  readonly targetDirectory: string
  readonly signal: AbortSignal
  readonly onLine: (line: string) => void
}

/**
 * The host's own triple, named explicitly: only then do the flags below leave build scripts and procedural macros alone, which
 * cannot be linked statically. A distribution's compiler has the standard library for this target only.
 */
const TARGET = 'x86_64-unknown-linux-gnu'
const PROGRAMS = { agent: 'exec-sandbox-agent', files: 'exec-sandbox-files' }

/** Paths of the compiled programs, and the version they share. */
export interface BuiltAgent {
  readonly agent: string
  readonly files: string
  readonly version: string
}

/** Compiles guest/agent into its static programs. */
export async function buildAgent(options: BuildAgentOptions): Promise<BuiltAgent> {
  const directory = join(guestDirectory, 'agent')
  const flags = ['-Ctarget-feature=+crt-static', `--remap-path-prefix=${directory}=agent`]
  const env = commandEnvironment({
    CARGO_TARGET_DIR: options.targetDirectory,
    CARGO_ENCODED_RUSTFLAGS: flags.join('\u001f'),
    CARGO_TERM_COLOR: 'never',
  })
  try {
    await runCommand(options.cargo, {
      args: [
        'build',
        '--release',
        '--locked',
        ...Object.values(PROGRAMS).flatMap((name) => ['--bin', name]),
        '--target',
        TARGET,
      ],
      cwd: directory,
      env,
      signal: options.signal,
      onLine: options.onLine,
    })
  } catch (error) {
    throw error instanceof CommandError ? explain(error) : error
  }
  const manifest = await readFile(join(directory, 'Cargo.toml'), 'utf8')
  const version = /^version = "([^"]+)"/m.exec(manifest)?.[1] ?? 'unknown'
  const built = (program: string): string => join(options.targetDirectory, TARGET, 'release', program)
  return { agent: built(PROGRAMS.agent), files: built(PROGRAMS.files), version }
}

function explain(error: CommandError): DependencyError {
  const fix =
    'check that Rust is 1.85 or newer (cargo --version; Debian 12 has it as rustc-web and cargo-web), that gcc and libc6-dev are installed, and that cargo can reach its registry'
  return new DependencyError(
    `The guest agent does not build; ${fix}.\n${error.output}`,
    { dependency: 'Rust', fix },
    error,
  )
}
