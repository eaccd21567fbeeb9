import { type Logger, PackageError } from '../base/index.ts'
import type { HostPaths } from '../host/index.ts'
import { type Layer, layerKey, LayerStore, type PackageLanguage, packageLanguage } from '../layer/index.ts'
import { REMOTE_CACHE_LIMITS, type RemoteCacheOptions, type RemoteCacheStats } from '../remote/index.ts'
import { type IndexAccess, npmAccess, pythonAccess } from './index-access.ts'
import type { IndexHost } from './index-hosts.ts'
import { type InstallationRequest, installPackages } from './installation.ts'
import type { StartInstallingVm } from './installing-vm.ts'
import type { ResolvedPackagesOptions } from './packages-options.ts'
import { readNpmRegistry, readPythonIndex } from './read-index-settings.ts'
import { redactor } from './redact.ts'
import { SharedLayers } from './shared-layers.ts'

export interface PackageLayersOptions {
  readonly paths: HostPaths
  readonly limitBytes: number
  readonly packages: ResolvedPackagesOptions
  /** Where layers are shared with other hosts. @default nowhere */
  readonly remoteCache: RemoteCacheOptions | undefined
  /** Where the user's own settings of pip and npm are looked for. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly startVm: StartInstallingVm
  readonly rulesFor: (indexes: readonly IndexHost[], files: readonly IndexHost[]) => Promise<readonly string[]>
  readonly asGuestKnows: (access: IndexAccess) => IndexAccess
  readonly logger: Logger
}

/** What a sandbox asks for. */
export interface PackagesWanted {
  readonly language: string
  /** As `parsePackageSpecs` gives them; at least one. */
  readonly packages: readonly string[]
  /** Digest of the root file system. */
  readonly root: string
  readonly onInstallLog: ((line: string) => void) | undefined
  readonly signal: AbortSignal
}

/** Milliseconds beyond the time-out of an installation that another process may take for it: its VM, and the disk. */
const LOCK_MARGIN_MS = 1_000_000

/** Milliseconds that it may fetch before that, unless its disk is slow. */
const FETCH_MARGIN_MS = REMOTE_CACHE_LIMITS.fetch.overallMs

/** The layers that sandboxes with packages run on: found in the cache, fetched, or installed. */
export class PackageLayers {
  readonly #options: PackageLayersOptions
  readonly #store: LayerStore
  readonly #shared: SharedLayers | undefined
  readonly #listeners = new Map<string, Set<(line: string) => void>>()

  constructor(options: PackageLayersOptions) {
    this.#options = options
    const { remoteCache, paths, logger } = options
    this.#shared =
      remoteCache === undefined ? undefined : new SharedLayers({ remoteCache, workDirectory: paths.uploads, logger })
    this.#store = new LayerStore({ ...options, exchange: this.#shared })
  }

  /**
   * Whether the packages may be had at all.
   * @throws PackageError, not retryable, when the policy refuses one
   */
  check(language: string, packages: readonly string[]): void {
    const { policy } = this.#options.packages
    const of = packageLanguage(language)
    if (policy === undefined || of === undefined) return
    for (const spec of packages) {
      if (policy(spec, of)) continue
      throw new PackageError(
        `Package ${spec} is refused by the policy of this scheduler`,
        { spec },
        { retryable: false },
      )
    }
  }

  /**
   * The layer with these packages, fetched or installed now unless it is there.
   * @throws PackageError · CapacityError, BootError when the installing VM cannot be had · DependencyError, also when the remote
   * cache cannot be opened · AbortedError
   */
  async provide(wanted: PackagesWanted): Promise<Layer> {
    const { language, packages, root, signal } = wanted
    const of = packageLanguage(language)
    if (of === undefined) throw new TypeError(`no packages for ${language}`)
    const access = await this.#access(of)
    const spec = { language: of, packages, root, index: access.fingerprint }
    const key = layerKey(spec)
    const layer = await this.#store.open(key, signal)
    if (layer !== undefined) return layer
    const offline = this.#options.env['EXEC_SANDBOX_OFFLINE']
    if (offline !== undefined && offline !== '' && offline !== '0') throw offlineError(packages)
    const stopListening = this.#listen(key, wanted.onInstallLog)
    try {
      const { timeoutMs } = this.#options.packages
      const lockTimeoutMs = timeoutMs + LOCK_MARGIN_MS + (this.#shared === undefined ? 0 : FETCH_MARGIN_MS)
      return await this.#store.build(spec, async (work) => await this.#install(of, { access, packages, key }, work), {
        signal,
        lockTimeoutMs,
      })
    } finally {
      stopListening()
    }
  }

  /** What the remote cache has done; undefined without one, and before a layer was missing. */
  remoteStats(): RemoteCacheStats | undefined {
    return this.#shared?.stats()
  }

  /** Resolves when installations that were given up have left nothing. Never throws. */
  async settled(): Promise<void> {
    await this.#store.settled()
  }

  /** Last step: waits at most ten seconds for layers that are being published; the signal gives them up. Never throws. */
  async close(signal: AbortSignal | undefined): Promise<void> {
    await this.#shared?.close(signal)
  }

  async #install(
    language: PackageLanguage,
    what: { readonly access: IndexAccess; readonly packages: readonly string[]; readonly key: string },
    work: Parameters<typeof installPackages>[2],
  ): ReturnType<typeof installPackages> {
    const { startVm, rulesFor, asGuestKnows, logger } = this.#options
    const { timeoutMs, memoryMb } = this.#options.packages
    const { access, packages, key } = what
    logger.info('packages are installed', { layer: key, language, packages: packages.join(' ') })
    const startedAt = performance.now()
    await using vm = await startVm({ memoryMb, timeoutMs, signal: work.signal })
    const request: InstallationRequest = {
      language,
      specs: packages,
      access,
      rulesFor,
      asGuestKnows,
      redact: redactor(access.secrets),
      onLine: (line) => this.#tell(key, line),
      timeoutMs,
    }
    const facts = await installPackages(vm, request, work)
    logger.info('packages were installed', { layer: key, ms: Math.round(performance.now() - startedAt) })
    return facts
  }

  async #access(language: PackageLanguage): Promise<IndexAccess> {
    const { env, packages } = this.#options
    return language === 'python'
      ? pythonAccess(packages, await readPythonIndex(env))
      : npmAccess(packages, await readNpmRegistry(env))
  }

  /** Several may wait for one installation: each sees what it writes from here on. */
  #listen(key: string, onLine: ((line: string) => void) | undefined): () => void {
    if (onLine === undefined) return () => undefined
    const listeners = this.#listeners.get(key) ?? new Set()
    listeners.add(onLine)
    this.#listeners.set(key, listeners)
    return () => {
      listeners.delete(onLine)
      if (listeners.size === 0 && this.#listeners.get(key) === listeners) this.#listeners.delete(key)
    }
  }

  #tell(key: string, line: string): void {
    this.#options.logger.debug('installer', { layer: key, line })
    for (const onLine of this.#listeners.get(key) ?? []) {
      try {
        onLine(line)
      } catch {
        // The caller's own; what it throws says nothing about the installation.
      }
    }
  }
}

function offlineError(packages: readonly string[]): PackageError {
  const message = `${packages.join(' ')}: not installed yet, and EXEC_SANDBOX_OFFLINE forbids to fetch anything`
  return new PackageError(message, {}, { retryable: false })
}
