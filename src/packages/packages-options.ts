import type { PackageLanguage } from '../layer/index.ts'

/** Which packages may be installed, and where they come from. */
export interface PackagesOptions {
  /**
   * Decides about each spec, in its normalized form (`pandas==2.2.3`). One that it refuses is a PackageError before any VM
   * work. @default every spec is allowed
   */
  readonly policy?: (spec: string, language: PackageLanguage) => boolean
  /** URL of the Python index (PEP 503). @default that of the user's own uv or pip settings, else the tool's own */
  readonly pythonIndexUrl?: string
  /** Further ones, asked first. @default those of the user's own uv or pip settings; none if `pythonIndexUrl` is given */
  readonly pythonExtraIndexUrls?: readonly string[]
  /** URL of the npm registry. @default that of the user's own npm settings, else the tool's own */
  readonly npmRegistryUrl?: string
  /**
   * `warm`: Python sandboxes without `env` are resumed with the packages imported already, which saves the import (pandas: half
   * a second, under emulation ten). Generators of `random` and numpy are reseeded in each; what else a package draws when it is
   * imported is the same in all. `lazy`: nothing is imported before the program does. @default 'warm'
   */
  readonly imports?: 'warm' | 'lazy'
  /** Milliseconds that an installation may take, 10 000–86 400 000. @default 900 000 */
  readonly timeoutMs?: number
  /** Memory of the VM that installs, in MiB, 512–65536: what is installed must fit into two fifths of it. @default 4 096 */
  readonly memoryMb?: number
}

/** Options after defaults. */
export interface ResolvedPackagesOptions extends PackagesOptions {
  readonly imports: 'warm' | 'lazy'
  readonly timeoutMs: number
  readonly memoryMb: number
}

export const PACKAGES_DEFAULTS = { imports: 'warm', timeoutMs: 900_000, memoryMb: 4_096 } as const
