import { FileError, InvalidInputError, SandboxClosedError, throwIfAborted } from './base/index.ts'
import type { AdmissionStats } from './admission/index.ts'
import { resolvePaths } from './host/index.ts'
import type { Layer } from './layer/index.ts'
import { type HostNetwork, openHostNetwork } from './network/index.ts'
import { openPackageLayers } from './package-supply.ts'
import type { InstallingVm, InstallingVmOptions, PackageLayers } from './packages/index.ts'
import type { PoolStats } from './pool/index.ts'
import type { RemoteCacheStats } from './remote/index.ts'
import {
  checkCode,
  checkDownloads,
  checkRunCodeOptions,
  closeListeners,
  type Download,
  type ExposedPort,
  type Language,
  type OneShotResult,
  openListeners,
  type PortListener,
  type ResolvedSandboxOptions,
  resolveSandboxOptions,
  type RunCodeOptions,
  type RunResult,
  Sandbox,
  type SandboxOptions,
} from './sandbox/index.ts'
import { type ResolvedSchedulerOptions, resolveSchedulerOptions, type SchedulerOptions } from './scheduler-options.ts'
import type { LauncherStats } from './snapshot/index.ts'
import { type Use, VmSupply } from './vm-supply.ts'

/** Options of a one-shot run: those of its sandbox, and the callbacks of its one call. */
export type RunOptions = Omit<SandboxOptions, 'idleTimeoutMs'> &
  Pick<RunCodeOptions, 'onStdout' | 'onStderr' | 'onResult'> & {
    /**
     * Files and directories to copy to the host when the program has ended, however it did: path in the guest → path of
     * the host. One that cannot be copied is told in the result. @default {}
     */
    readonly downloads?: Readonly<Record<string, string>>
    /** Called once, before the program starts, with where the `ports` are reached; not without any. */
    readonly onPorts?: (ports: readonly ExposedPort[]) => void | Promise<void>
  }

/** A sandbox with its first files in it. */
interface NewSandbox {
  readonly sandbox: Sandbox
  /** Absent when there were none. */
  readonly uploadMs?: number
  /** Absent when none were asked for. */
  readonly packagesMs?: number
}

/** How a sandbox is to get its VM, besides its options. */
interface LaunchPlan {
  readonly use: Use
  readonly listeners: readonly PortListener[]
  readonly layer: Layer | undefined
  /** There will hardly be another of its kind. */
  readonly unique: boolean
}

/** What a scheduler has and has done since it was made. */
export interface SchedulerStats {
  /** Sandboxes that live now. */
  readonly sandboxes: number
  /** The warm pools, by language. */
  readonly pools: Readonly<Partial<Record<Language, PoolStats>>>
  /** Room on this host: what there is, what is taken, who waits. */
  readonly admission: AdmissionStats
  /** VMs resumed and booted, and the templates saved; undefined until the first use. */
  readonly templates: LauncherStats | undefined
  /** Layers fetched and published; undefined without a remote cache, and before a layer was missing on this host. */
  readonly remoteCache: RemoteCacheStats | undefined
  /** What the VMs run on; undefined until the first use. */
  readonly accelerator: 'kvm' | 'tcg' | undefined
  readonly jail: 'required' | 'off'
}

/**
 * Makes sandboxes and one-shot runs. The composition root: what the parts need from each other, they get here.
 *
 * Holds nothing until the first use, unless it has warm pools, and never holds the process open, but while a layer is uploaded to a
 * remote cache: `close` bounds that.
 */
export class Scheduler implements AsyncDisposable {
  readonly #options: ResolvedSchedulerOptions
  readonly #supply: VmSupply
  readonly #host: HostNetwork
  readonly #packages: PackageLayers
  readonly #live = new Set<Sandbox>()
  readonly #launches = new Map<Promise<unknown>, AbortController>()
  #closed: Promise<void> | undefined

  /**
   * Begins to fill the warm pools, if there are any.
   * @param host what connects and resolves names for sandboxes with network; for tests. @default the network of this host
   * @throws InvalidInputError for a wrong option or environment variable
   */
  constructor(options: SchedulerOptions = {}, host?: HostNetwork) {
    this.#options = resolveSchedulerOptions(options, process.env)
    const { cacheDir, runtimeDir, logger } = this.#options
    this.#host = host ?? openHostNetwork(logger)
    const paths = resolvePaths(process.env, { cacheDir, runtimeDir })
    this.#supply = new VmSupply(this.#options, paths)
    this.#packages = openPackageLayers({
      paths,
      limitBytes: this.#options.cacheLimitMb * 2 ** 20,
      packages: this.#options.packages,
      remoteCache: this.#options.remoteCache,
      startVm: async (wanted) => await this.#startInstallingVm(wanted),
      logger,
    })
  }

  /**
   * Runs one program in a VM of its own, which is destroyed before the result is returned.
   * @throws InvalidInputError · PackageError · CapacityError · DependencyError · BootError · VmLostError · FileError for
   * `files` · AbortedError
   */
  async run(code: string, options: RunOptions = {}): Promise<OneShotResult> {
    const startedAt = performance.now()
    const { onStdout, onStderr, onResult, onPorts, downloads: asked, ...sandboxOptions } = options
    const source = checkCode(code)
    const callbacks = {
      ...(onStdout === undefined ? {} : { onStdout }),
      ...(onStderr === undefined ? {} : { onStderr }),
      ...(onResult === undefined ? {} : { onResult }),
    }
    checkRunCodeOptions(callbacks)
    const wanted = checkDownloads(asked)
    checkOnPorts(onPorts)
    const signal = options.signal === undefined ? {} : { signal: options.signal }
    const { sandbox, uploadMs, packagesMs } = await this.#create({ ...sandboxOptions, idleTimeoutMs: 0 }, 'run')
    let result: RunResult
    let downloads: readonly Download[]
    let executedAt: number
    let downloadedAt: number
    const ports = sandbox.ports.list()
    try {
      if (ports.length > 0) await onPorts?.(ports)
      result = await sandbox.runCode(source, { ...callbacks, ...signal })
      executedAt = performance.now()
      downloads = await downloadAll(sandbox, wanted, options.signal)
      downloadedAt = performance.now()
    } finally {
      await sandbox.close()
    }
    const endedAt = performance.now()
    const timing = {
      ...(packagesMs === undefined ? {} : { packagesMs }),
      ...sandbox.info().launch,
      ...(uploadMs === undefined ? {} : { uploadMs }),
      ...result.timing,
      ...(wanted.length === 0 ? {} : { downloadMs: downloadedAt - executedAt }),
      teardownMs: endedAt - downloadedAt,
      totalMs: endedAt - startedAt,
    }
    return { ...result, downloads, ports, timing }
  }

  /**
   * Makes a sandbox whose interpreters keep their state from call to call. The caller closes it.
   * @throws InvalidInputError · PackageError · CapacityError · DependencyError · BootError · AbortedError
   */
  async create(options: SandboxOptions = {}): Promise<Sandbox> {
    const { sandbox } = await this.#create(options, 'session')
    return sandbox
  }

  async #create(options: SandboxOptions, use: Use): Promise<NewSandbox> {
    const resolved = this.#resolve(options)
    return await this.#watched(resolved.signal, async (signal) => {
      // Before there is a VM: a port that is taken costs none.
      const listeners = await openListeners(resolved.ports)
      try {
        const startedAt = performance.now()
        const layer = await this.#layerFor(resolved, signal)
        const packagesMs = performance.now() - startedAt
        const made = await this.#launch(resolved, { use, listeners, layer, unique: false }, signal)
        return layer === undefined ? made : { ...made, packagesMs }
      } catch (error) {
        await closeListeners(listeners)
        throw error
      }
    })
  }

  /** @throws InvalidInputError · PackageError · AbortedError · SandboxClosedError: all before any VM work */
  #resolve(options: SandboxOptions): ResolvedSandboxOptions {
    const resolved = resolveSandboxOptions(options, this.#options)
    this.#packages.check(resolved.language, resolved.packages)
    throwIfAborted(resolved.signal)
    this.#throwIfClosed()
    return resolved
  }

  /** The installed packages, installed now unless they are there; undefined when none are asked for. */
  async #layerFor(options: ResolvedSandboxOptions, signal: AbortSignal): Promise<Layer | undefined> {
    const { language, packages, onInstallLog } = options
    if (packages.length === 0) return undefined
    const root = await this.#supply.rootDigest(signal)
    return await this.#packages.provide({ language, packages, root, onInstallLog, signal })
  }

  /** Modules that a template has imported already. Packages read the environment when they are imported: then it must be there. */
  #importsOf(layer: Layer | undefined, { env }: ResolvedSandboxOptions): readonly string[] {
    const { imports } = this.#options.packages
    return layer === undefined || imports === 'lazy' || Object.keys(env).length > 0 ? [] : layer.manifest.modules
  }

  /** A sandbox like any other, for the installation of packages. */
  async #startInstallingVm({ memoryMb, timeoutMs, signal }: InstallingVmOptions): Promise<InstallingVm> {
    const options = resolveSandboxOptions(
      { language: 'bash', memoryMb, timeoutMs, idleTimeoutMs: 0 },
      { ...this.#options, cpus: 1 },
    )
    const { sandbox } = await this.#launch(
      options,
      { use: 'run', listeners: [], layer: undefined, unique: true },
      signal,
    )
    const { commands, files } = sandbox
    return {
      commands,
      files,
      allow: async (rules) => await sandbox.setNetwork(rules.length === 0 ? false : { allow: rules }),
      [Symbol.asyncDispose]: async () => await sandbox.close(),
    }
  }

  /** Work that the caller's signal and the scheduler's end cut short, and that `close` waits for. */
  async #watched<T>(signal: AbortSignal | undefined, begin: (signal: AbortSignal) => Promise<T>): Promise<T> {
    // Not AbortSignal.any: a signal that lives as long as the scheduler would remember each launch for ever.
    const ending = new AbortController()
    const onAbort = (): void => ending.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    const work = begin(ending.signal)
    this.#launches.set(work, ending)
    try {
      return await work
    } catch (error) {
      if (signal?.aborted !== true) this.#throwIfClosed()
      throw error
    } finally {
      signal?.removeEventListener('abort', onAbort)
      this.#launches.delete(work)
    }
  }

  /**
   * Checks everything the first sandbox needs (image, jail, accelerator) and waits until the warm pools are full.
   * @throws DependencyError that says what is missing and how to get it · BootError when a pool cannot be filled
   */
  async ready(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#throwIfClosed()
    try {
      await this.#supply.ready(options.signal)
    } catch (error) {
      if (options.signal?.aborted !== true) this.#throwIfClosed()
      throw error
    }
  }

  /**
   * Installs the packages and saves the template from which such sandboxes are resumed, unless there is one already. Without it the first use of a
   * configuration boots, and the template is saved meanwhile.
   * @returns whether there is a template; what stood in the way, a full host included, is told in the log
   * @throws InvalidInputError · PackageError · DependencyError · AbortedError
   */
  async prepare(
    options: Pick<SandboxOptions, 'language' | 'packages' | 'onInstallLog' | 'memoryMb' | 'cpus' | 'signal'> = {},
  ): Promise<boolean> {
    const resolved = this.#resolve(options)
    return await this.#watched(resolved.signal, async (signal) => {
      const layer = await this.#layerFor(resolved, signal)
      const imports = this.#importsOf(layer, resolved)
      return await this.#supply.prepare({ ...resolved, layer: diskOf(layer), imports }, signal)
    })
  }

  stats(): SchedulerStats {
    return {
      sandboxes: this.#live.size,
      ...this.#supply.stats(),
      remoteCache: this.#packages.remoteStats(),
      accelerator: this.#supply.accelerator,
      jail: this.#options.jail,
    }
  }

  /**
   * Ends launches in progress, pools and all sandboxes, and waits until their VMs are dead and templates that are being
   * saved are done (at most 30 s), and packages that are being published (at most 10 s). Joins a close in progress.
   * @param options.signal gives up the templates that are not saved yet, and what is not published yet
   */
  async close(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#closed ??= this.#shutDown(options.signal)
    await this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #shutDown(signal: AbortSignal | undefined): Promise<void> {
    const reason = new Error('the scheduler was closed')
    // Most of what ends here does not hold the process open; whoever waits for the end of it does.
    const hold = setInterval(() => undefined, 2 ** 31 - 1)
    try {
      for (const ending of this.#launches.values()) ending.abort(reason)
      await Promise.allSettled([this.#supply.drain(reason), ...this.#launches.keys()])
      await Promise.allSettled([...this.#live].map(async (sandbox) => await sandbox.close()))
      await this.#packages.settled()
      await Promise.all([this.#packages.close(signal), this.#supply.close(signal)])
    } finally {
      clearInterval(hold)
    }
  }

  async #launch(
    options: ResolvedSandboxOptions,
    { use, listeners, layer, unique }: LaunchPlan,
    signal: AbortSignal,
  ): Promise<NewSandbox> {
    // Read once per process, while the VM is on its way.
    if (options.network.enabled) void this.#host.authorities()
    const { vm, reservation, source, timing } = await this.#supply.take(
      { ...options, layer: diskOf(layer), imports: this.#importsOf(layer, options), unique },
      use,
      signal,
    )
    // A session's calls do not wait for processors: its VM is the caller's own, and is idle most of the time.
    if (use === 'session') reservation.idle()
    const { logger } = this.#options
    const launch = { source, timing, packages: layer?.manifest.packages ?? [] }
    const sandbox = new Sandbox({ vm, options, launch, listeners, host: this.#host, logger })
    this.#live.add(sandbox)
    void sandbox.closed.then(() => this.#live.delete(sandbox))
    try {
      await sandbox.connectNetwork(signal)
      if (options.files.length === 0) return { sandbox }
      const begin = performance.now()
      for (const { path, content } of options.files) await sandbox.files.write(path, content, { signal })
      return { sandbox, uploadMs: performance.now() - begin }
    } catch (error) {
      // Nobody has it yet.
      await sandbox.close()
      throw error
    }
  }

  #throwIfClosed(): void {
    if (this.#closed !== undefined) {
      throw new SandboxClosedError('The scheduler has been closed. Create a new one.', { reason: 'closed' })
    }
  }
}

function diskOf(layer: Layer | undefined): { readonly file: string; readonly digest: string } | undefined {
  return layer === undefined ? undefined : { file: layer.file, digest: layer.digest }
}

function checkOnPorts(onPorts: unknown): void {
  if (onPorts === undefined || typeof onPorts === 'function') return
  throw new InvalidInputError(`onPorts: expected a function, got ${typeof onPorts}`, { field: 'onPorts' })
}

/** Copies what it can; the caller's own abort is the only reason to give up. */
async function downloadAll(
  sandbox: Sandbox,
  wanted: readonly (readonly [path: string, hostPath: string])[],
  signal: AbortSignal | undefined,
): Promise<readonly Download[]> {
  const downloads: Download[] = []
  for (const [path, hostPath] of wanted) {
    try {
      const copy = await sandbox.files.download(path, hostPath, signal === undefined ? {} : { signal })
      downloads.push({ path, hostPath, copy })
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      downloads.push({ path, hostPath, error })
    }
  }
  return downloads
}
