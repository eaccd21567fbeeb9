import { randomBytes } from 'node:crypto'
import { Admission, type AdmissionStats, type Reservation } from './admission/index.ts'
import { throwIfAborted, untilAborted } from './base/index.ts'
import { clockKey, type HostPaths, processorKey } from './host/index.ts'
import { type Image, openImage } from './image/index.ts'
import { type PoolEntry, type PoolStats, WarmPool } from './pool/index.ts'
import {
  type AcceleratorVerdict,
  decideAccelerator,
  type LayerDisk,
  planVm,
  programKey,
  type VmPlan,
} from './qemu/index.ts'
import { type Language, LANGUAGES, type ResolvedSandboxOptions, type Source } from './sandbox/index.ts'
import type { ResolvedSchedulerOptions } from './scheduler-options.ts'
import { firstProgram, Launcher, type LauncherStats, TemplateStore, warmVm } from './snapshot/index.ts'
import type { GuestIdentity, LaunchTiming, Vm } from './vm/index.ts'

/** A VM for one sandbox, which owns it from here on. */
export interface SuppliedVm {
  readonly vm: Vm
  readonly reservation: Reservation
  readonly source: Source
  readonly timing: LaunchTiming
}

export type SupplyOptions = Pick<ResolvedSandboxOptions, 'language' | 'memoryMb' | 'cpus' | 'env' | 'onBootLog'> & {
  /** Installed packages. @default none */
  readonly layer?: LayerDisk | undefined
  /** Modules of the layer's packages that the template has imported already. @default none */
  readonly imports?: readonly string[] | undefined
  /** There will hardly be another of its kind: it boots, and no template is saved. @default false */
  readonly unique?: boolean
}

/** What a VM is wanted for: one program, or a session that is idle between calls. */
export type Use = 'run' | 'session'

/** What is found out once per scheduler, at its first use. */
interface Foundation {
  readonly image: Image
  readonly verdict: AcceleratorVerdict
  readonly launcher: Launcher
}

/** A VM of a pool: resumed, warmed, given to nobody yet. */
interface WarmVm extends PoolEntry {
  readonly vm: Vm
  readonly reservation: Reservation
}

/** The longest wait: who is served already is not refused. The wait ends with the VM. */
const UNTIL_ITS_END_MS = 2 ** 31 - 1

/** Milliseconds in which a VM of a pool answers; one that is starved for so long is no warm VM. */
const ANSWER_TIMEOUT_MS = 10_000

/** Milliseconds for the first program of a VM of a pool, booted or resumed: a second at most under emulation, more on a busy host. */
const FIRST_PROGRAM_TIMEOUT_MS = 30_000

/**
 * Where sandboxes get their VMs: out of a pool, else from a template, else by a boot. Holds the parts that VMs share:
 * image, accelerator, admission, templates, pools.
 */
export class VmSupply {
  readonly admission: Admission
  readonly #options: ResolvedSchedulerOptions
  readonly #paths: HostPaths
  readonly #store: TemplateStore
  readonly #pools = new Map<Language, WarmPool<WarmVm>>()
  readonly #closing = new AbortController()
  #foundation: Promise<Foundation> | undefined
  #found: Foundation | undefined

  constructor(options: ResolvedSchedulerOptions, paths: HostPaths) {
    const { logger, overcommit, reserve } = options
    this.#options = options
    this.#paths = paths
    this.admission = new Admission({ overcommit, reserve, logger })
    this.#store = new TemplateStore({ paths, limitBytes: options.cacheLimitMb * 2 ** 20, logger })
    for (const language of LANGUAGES) {
      const size = options.warmPool[language] ?? 0
      if (size === 0) continue
      const fill = async (signal: AbortSignal): Promise<WarmVm> => await this.#fill(language, signal)
      this.#pools.set(language, new WarmPool({ name: language, size, fill, logger }))
    }
    for (const pool of this.#pools.values()) pool.start()
  }

  /** What the VMs run on; undefined until the first one. */
  get accelerator(): 'kvm' | 'tcg' | undefined {
    return this.#found?.verdict.accelerator
  }

  /**
   * A VM that is ready to run code.
   * @throws CapacityError · BootError · DependencyError · AbortedError
   */
  async take(options: SupplyOptions, use: Use, signal: AbortSignal): Promise<SuppliedVm> {
    const identity = identityOf(options.env)
    const warm = await this.#fromPool(options, identity, use, signal)
    return warm ?? (await this.#launch(options, { identity, ahead: false }, signal))
  }

  /** Saves the template of such VMs unless there is one; false when it could not be kept (told in the log). */
  async prepare(
    options: Pick<SupplyOptions, 'language' | 'memoryMb' | 'cpus' | 'layer' | 'imports'>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { launcher, ...found } = await this.#explored(signal)
    const plan = planOf(found, { ...options, onBootLog: undefined })
    return (await launcher.bake(plan, options, signal)) !== undefined
  }

  /** Digest of the root file system: what packages are installed for. */
  async rootDigest(signal: AbortSignal): Promise<string> {
    return (await this.#explored(signal)).image.manifest.files.root.sha256
  }

  /** Resolves when image, jail and accelerator are known to be there and all pools are full. */
  async ready(signal: AbortSignal | undefined): Promise<void> {
    await this.#explored(signal)
    await Promise.all([...this.#pools.values()].map(async (pool) => await pool.ready(signal)))
  }

  stats(): {
    readonly pools: Readonly<Partial<Record<Language, PoolStats>>>
    readonly admission: AdmissionStats
    readonly templates: LauncherStats | undefined
  } {
    const pools = Object.fromEntries([...this.#pools].map(([language, pool]) => [language, pool.stats()]))
    return { pools, admission: this.admission.stats(), templates: this.#found?.launcher.stats() }
  }

  /** First step of the end: no new VM, and the pools' VMs are dead when it resolves. */
  async drain(reason: Error): Promise<void> {
    this.#closing.abort(reason)
    this.#found?.launcher.stopBuilding()
    // The foundation, too: its probe starts a VM.
    await Promise.allSettled([this.#foundation, ...[...this.#pools.values()].map(async (pool) => await pool.close())])
  }

  /** Last step: waits for templates that are being saved; the signal gives them up. */
  async close(signal: AbortSignal | undefined): Promise<void> {
    await this.#found?.launcher.close(signal)
    this.admission.close()
  }

  async #fromPool(
    options: SupplyOptions,
    identity: GuestIdentity,
    use: Use,
    signal: AbortSignal,
  ): Promise<SuppliedVm | undefined> {
    const { memoryMb, cpus } = this.#options
    const plain = options.onBootLog === undefined && options.layer === undefined && options.unique !== true
    const fits = plain && options.memoryMb === memoryMb && options.cpus === cpus
    const warm = fits ? this.#pools.get(options.language)?.take() : undefined
    if (warm === undefined) return undefined
    const { vm, reservation } = warm
    try {
      // It is up already, so it does not wait for processors: it only counts, from the moment there are some. What runs beyond
      // the budget is at most what the pools hold. A session is idle most of the time and does not count at all.
      // Nor does either count as ready ahead of demand: else a pool whose VMs serve sessions could not be filled again.
      reservation.serve()
      if (use === 'run') reservation.work({ signal, timeoutMs: UNTIL_ITS_END_MS }).catch(() => undefined)
      const startedAt = performance.now()
      await vm.adopt(identity, signal)
      return { vm, reservation, source: 'pool', timing: { connectMs: performance.now() - startedAt } }
    } catch (error) {
      await vm.close('it was not fit to be handed out')
      if (signal.aborted) throw error
      this.#options.logger.warn('a VM of the pool was lost as it was handed out', { cause: String(error) })
      return undefined
    }
  }

  async #launch(
    options: SupplyOptions,
    request: { readonly identity: GuestIdentity; readonly ahead: boolean },
    signal: AbortSignal,
  ): Promise<SuppliedVm> {
    const { launcher, ...found } = await this.#explored(signal)
    const launched = await launcher.launch({
      plan: planOf(found, options),
      language: options.language,
      imports: options.imports,
      ...request,
      onBootLog: options.onBootLog,
      unique: options.unique ?? false,
      signal,
      admissionTimeoutMs: this.#options.admissionTimeoutMs,
    })
    const { vm, reservation, source, admissionMs } = launched
    return { vm, reservation, source, timing: { admissionMs, ...vm.timing } }
  }

  async #fill(language: Language, signal: AbortSignal): Promise<WarmVm> {
    const { memoryMb, cpus } = this.#options
    const options = { language, memoryMb, cpus, env: {}, onBootLog: undefined }
    const { vm, reservation } = await this.#launch(options, { identity: identityOf({}), ahead: true }, signal)
    const onAbort = (): void => vm.end('its pool was closed')
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      throwIfAborted(signal)
      vm.unref()
      await warmVm(vm, language, firstProgram(language), FIRST_PROGRAM_TIMEOUT_MS)
      reservation.idle()
    } catch (error) {
      await vm.close('its warm-up failed')
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
    return {
      vm,
      reservation,
      ended: vm.ended,
      // The channel breaks before QEMU is known to be dead; a VM without it is of no use.
      get hasEnded() {
        return vm.channel.isClosed
      },
      isAlive: async () => await vm.isAlive(ANSWER_TIMEOUT_MS),
      close: async () => await vm.close('its pool was closed'),
    }
  }

  // Shared by all who wait for it; a failure is not kept, so that the next call sees a host that was mended meanwhile.
  async #explored(signal: AbortSignal | undefined): Promise<Foundation> {
    this.#foundation ??= this.#explore().catch((error: unknown) => {
      this.#foundation = undefined
      throw error
    })
    return await untilAborted(this.#foundation, signal)
  }

  async #explore(): Promise<Foundation> {
    const { accelerator: requested, jail, logger } = this.#options
    const paths = this.#paths
    // Whoever waited for a VM of the pool as the scheduler was closed gets here late.
    throwIfAborted(this.#closing.signal)
    const image = await openImage({ paths, env: process.env })
    const signal = this.#closing.signal
    const verdict = await decideAccelerator({ requested, image, paths, env: process.env, jail, logger, signal })
    const { accelerator } = verdict
    const origin = {
      imageId: image.id,
      program: await programKey(verdict.program),
      accelerator,
      host: accelerator === 'kvm' ? await processorKey() : await clockKey(),
    }
    const launcher = new Launcher({ store: this.#store, admission: this.admission, origin, logger })
    this.#found = { image, verdict, launcher }
    return this.#found
  }
}

function planOf(
  found: Pick<Foundation, 'image' | 'verdict'>,
  options: Pick<SupplyOptions, 'memoryMb' | 'cpus' | 'onBootLog' | 'layer'>,
): VmPlan {
  const { memoryMb, cpus, onBootLog, layer } = options
  return planVm({ ...found, layer, memoryMb, cpus, verbose: onBootLog !== undefined })
}

// The name says nothing about the host, and differs between any two VMs.
function identityOf(env: Readonly<Record<string, string>>): GuestIdentity {
  return { hostname: `sandbox-${randomBytes(4).toString('hex')}`, env }
}
