import { randomBytes } from 'node:crypto'
import { SandboxClosedError, throwIfAborted, untilAborted } from './base/index.ts'
import { type HostPaths, resolvePaths } from './host/index.ts'
import { type Image, openImage } from './image/index.ts'
import { type AcceleratorVerdict, decideAccelerator, planVm, type VmPlan } from './qemu/index.ts'
import {
  checkCode,
  checkRunCodeOptions,
  type ResolvedSandboxOptions,
  resolveSandboxOptions,
  type RunCodeOptions,
  type RunResult,
  Sandbox,
  type SandboxOptions,
} from './sandbox/index.ts'
import { type ResolvedSchedulerOptions, resolveSchedulerOptions, type SchedulerOptions } from './scheduler-options.ts'
import { launchVm } from './vm/index.ts'

/** Options of a one-shot run: those of its sandbox, and the callbacks of its one call. */
export type RunOptions = Omit<SandboxOptions, 'idleTimeoutMs'> &
  Pick<RunCodeOptions, 'onStdout' | 'onStderr' | 'onResult'>

/** Counters of a scheduler since it was made. */
export interface SchedulerStats {
  /** Sandboxes that live now. */
  readonly sandboxes: number
  /** VMs booted, and boots that failed and were tried again. */
  readonly boots: number
  readonly bootRetries: number
  /** What the VMs run on; undefined until the first one. */
  readonly accelerator: 'kvm' | 'tcg' | undefined
  readonly jail: 'required' | 'off'
}

/** What is found out once per scheduler, at its first use. */
interface Foundation {
  readonly image: Image
  readonly verdict: AcceleratorVerdict
}

/**
 * Makes sandboxes and one-shot runs. The composition root: what the parts need from each other, they get here.
 *
 * Holds nothing until the first use, and never holds the process open.
 */
export class Scheduler implements AsyncDisposable {
  readonly #options: ResolvedSchedulerOptions
  readonly #paths: HostPaths
  readonly #live = new Set<Sandbox>()
  readonly #launches = new Map<Promise<unknown>, AbortController>()
  readonly #closing = new AbortController()
  #foundation: Promise<Foundation> | undefined
  #closed: Promise<void> | undefined
  #verdict: AcceleratorVerdict | undefined
  #boots = 0
  #bootRetries = 0

  /** @throws InvalidInputError for a wrong option or environment variable */
  constructor(options: SchedulerOptions = {}) {
    this.#options = resolveSchedulerOptions(options, process.env)
    this.#paths = resolvePaths(process.env, { cacheDir: this.#options.cacheDir, runtimeDir: this.#options.runtimeDir })
  }

  /**
   * Runs one program in a VM of its own, which is destroyed before the result is returned.
   * @throws InvalidInputError · DependencyError · BootError · VmLostError · AbortedError
   */
  async run(code: string, options: RunOptions = {}): Promise<RunResult> {
    const startedAt = performance.now()
    const { onStdout, onStderr, onResult, ...sandboxOptions } = options
    const source = checkCode(code)
    checkRunCodeOptions({
      ...(onStdout === undefined ? {} : { onStdout }),
      ...(onStderr === undefined ? {} : { onStderr }),
      ...(onResult === undefined ? {} : { onResult }),
    })
    const sandbox = await this.create({ ...sandboxOptions, idleTimeoutMs: 0 })
    let result: RunResult
    let executedAt: number
    try {
      result = await sandbox.runCode(source, {
        ...(onStdout === undefined ? {} : { onStdout }),
        ...(onStderr === undefined ? {} : { onStderr }),
        ...(onResult === undefined ? {} : { onResult }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      })
      executedAt = performance.now()
    } finally {
      await sandbox.close()
    }
    const endedAt = performance.now()
    const timing = {
      ...sandbox.info().launch,
      ...result.timing,
      teardownMs: endedAt - executedAt,
      totalMs: endedAt - startedAt,
    }
    return { ...result, timing }
  }

  /**
   * Makes a sandbox whose interpreters keep their state from call to call. The caller closes it.
   * @throws InvalidInputError · DependencyError · BootError · AbortedError
   */
  async create(options: SandboxOptions = {}): Promise<Sandbox> {
    const resolved = resolveSandboxOptions(options, this.#options)
    throwIfAborted(resolved.signal)
    this.#throwIfClosed()
    // Not AbortSignal.any: a signal that lives as long as the scheduler would remember each launch for ever.
    const ending = new AbortController()
    const onAbort = (): void => ending.abort(resolved.signal?.reason)
    resolved.signal?.addEventListener('abort', onAbort, { once: true })
    const launch = this.#launch(resolved, ending.signal)
    this.#launches.set(launch, ending)
    try {
      return await launch
    } catch (error) {
      if (!resolved.signal?.aborted) this.#throwIfClosed()
      throw error
    } finally {
      resolved.signal?.removeEventListener('abort', onAbort)
      this.#launches.delete(launch)
    }
  }

  /**
   * Checks everything the first sandbox needs: image, jail, accelerator.
   * @throws DependencyError that says what is missing and how to get it
   */
  async ready(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#throwIfClosed()
    try {
      await this.#found(options.signal)
    } catch (error) {
      if (options.signal?.aborted !== true) this.#throwIfClosed()
      throw error
    }
  }

  stats(): SchedulerStats {
    return {
      sandboxes: this.#live.size,
      boots: this.#boots,
      bootRetries: this.#bootRetries,
      accelerator: this.#verdict?.accelerator,
      jail: this.#options.jail,
    }
  }

  /** Ends launches in progress and all sandboxes, and waits until their VMs are dead. Joins a close in progress. */
  async close(): Promise<void> {
    this.#closed ??= this.#shutDown()
    await this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #shutDown(): Promise<void> {
    const reason = new Error('the scheduler was closed')
    this.#closing.abort(reason)
    for (const ending of this.#launches.values()) ending.abort(reason)
    // The foundation, too: its probe starts a VM.
    await Promise.allSettled([this.#foundation, ...this.#launches.keys()])
    await Promise.allSettled([...this.#live].map(async (sandbox) => await sandbox.close()))
  }

  async #launch(options: ResolvedSandboxOptions, signal: AbortSignal): Promise<Sandbox> {
    const vm = await launchVm(await this.#plan(options, signal), {
      language: options.language,
      // The name says nothing about the host, and differs between any two VMs.
      identity: { hostname: `sandbox-${randomBytes(4).toString('hex')}`, env: options.env },
      onBootLog: options.onBootLog,
      signal,
      logger: this.#options.logger,
      onRetry: () => {
        this.#bootRetries += 1
      },
    })
    this.#boots += 1
    const sandbox = new Sandbox(vm, options, 'cold-boot')
    this.#live.add(sandbox)
    void sandbox.closed.then(() => this.#live.delete(sandbox))
    return sandbox
  }

  async #plan(options: ResolvedSandboxOptions, signal: AbortSignal): Promise<VmPlan> {
    const { image, verdict } = await this.#found(signal)
    return planVm({
      image,
      verdict,
      memoryMb: options.memoryMb,
      cpus: options.cpus,
      verbose: options.onBootLog !== undefined,
    })
  }

  // Shared by all who wait for it; a failure is not kept, so that the next call sees a host that was mended meanwhile.
  async #found(signal: AbortSignal | undefined): Promise<Foundation> {
    this.#foundation ??= this.#explore().catch((error: unknown) => {
      this.#foundation = undefined
      throw error
    })
    return await untilAborted(this.#foundation, signal)
  }

  async #explore(): Promise<Foundation> {
    const image = await openImage({ paths: this.#paths, env: process.env })
    const verdict = await decideAccelerator({
      requested: this.#options.accelerator,
      image,
      paths: this.#paths,
      env: process.env,
      jail: this.#options.jail,
      logger: this.#options.logger,
      signal: this.#closing.signal,
    })
    this.#verdict = verdict
    return { image, verdict }
  }

  #throwIfClosed(): void {
    if (this.#closed !== undefined) {
      throw new SandboxClosedError('The scheduler has been closed. Create a new one.', { reason: 'closed' })
    }
  }
}
