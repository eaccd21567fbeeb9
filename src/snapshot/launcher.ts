import { BootError, CapacityError, type Logger, untilAborted, withDeadline } from '../base/index.ts'
import { type Admission, type Reservation, type WaitOptions } from '../admission/index.ts'
import { type QemuProcess, type VmPlan, withMemory } from '../qemu/index.ts'
import { type GuestIdentity, launchVm, type Vm } from '../vm/index.ts'
import { buildTemplate } from './template-builder.ts'
import { templateKey, type TemplateSpec } from './template-key.ts'
import { Spares } from './spares.ts'
import { TemplateTrust } from './template-trust.ts'
import type { Template, TemplateStore } from './template-store.ts'
import { type SpecSource, templateSpec, type WarmUp } from './template-spec.ts'

export interface LauncherOptions {
  readonly store: TemplateStore
  readonly admission: Admission
  /** What the templates of this host are made of, besides the plan. */
  readonly origin: SpecSource
  readonly logger: Logger
}

export interface LaunchRequest {
  /** The VM to be launched; its memory is anonymous. */
  readonly plan: VmPlan
  readonly language: string
  /** Modules of the layer's packages that the template has imported already. @default none */
  readonly imports?: readonly string[] | undefined
  readonly identity: GuestIdentity
  /** Whoever wants to see the boot gets one. */
  readonly onBootLog: ((line: string) => void) | undefined
  /** There will hardly be another of its kind: no template is looked for, or saved. */
  readonly unique: boolean
  readonly signal: AbortSignal
  /** Milliseconds to wait for room on this host. */
  readonly admissionTimeoutMs: number
  /** Nobody wants it yet: it gets room that nobody waits for, within the share of such VMs, now or not at all. */
  readonly ahead: boolean
}

/** A VM that is ready, and what it took to get it. The reservation is given back when the VM is dead. */
export interface LaunchedVm {
  readonly vm: Vm
  readonly reservation: Reservation
  /** `memory-snapshot`: the template had been loaded ahead. */
  readonly source: 'memory-snapshot' | 'disk-snapshot' | 'cold-boot'
  readonly admissionMs: number
}

export interface LauncherStats {
  /** VMs resumed from a template, and VMs booted. */
  readonly restores: number
  readonly boots: number
  /** Boots that failed and were tried again; restores that failed, after which the VM was booted. */
  readonly bootRetries: number
  readonly restoreFailures: number
  /** Templates saved, not saved, and being saved. */
  readonly saved: number
  readonly saveFailures: number
  readonly saving: number
  /** Templates that are loaded ahead of their next use. */
  readonly spares: number
}

/** A template that is going to be built, or is being built, by this process. */
interface Build {
  /** The template, or undefined when there will be none. Never rejects. */
  readonly done: Promise<Template | undefined>
  /** Called once, when whoever announced the build has its own VM or has failed to get it. What does not boot is not built. */
  readonly begin: (boots: boolean) => void
}

/** Of what a template is to be built, and how long whoever announces it would wait for room. */
type BuildRequest = Pick<LaunchRequest, 'plan' | 'language' | 'imports' | 'admissionTimeoutMs'>

/** Restores of a template after which its next one is prepared for: who has come twice may come again. */
const USES_BEFORE_SPARE = 2

/**
 * Milliseconds a builder waits for room. Launches of its kind wait with it, so it waits as long as whoever announced it would,
 * but long enough for a short program to end that holds the only processor.
 */
const BUILD_ADMISSION_TIMEOUT_MS = { most: 120_000, least: 10_000 }

/** Milliseconds that `close` waits for templates being saved: they take a boot. What is not done by then is given up. */
const LAST_BUILDS_MS = 30_000

/**
 * Gets VMs: from a template where there is one, else by a boot, and then a template is saved in the background for
 * all that come later.
 *
 * ```text
 *   template there ──────────────▶ restore ── fails ──▶ boot; the template is discarded if it is to blame
 *   being built by this process ─▶ wait for it, then the same
 *   neither ─────────────────────▶ boot; when the VM is ready, the template is built
 * ```
 */
export class Launcher {
  readonly #store: TemplateStore
  readonly #admission: Admission
  readonly #origin: SpecSource
  readonly #logger: Logger
  readonly #builds = new Map<string, Build>()
  readonly #trust = new TemplateTrust()
  /** Restores by this process, per template. */
  readonly #uses = new Map<string, number>()
  readonly #spares: Spares
  readonly #closing = new AbortController()
  /** Launches under way: a spare is started only when nobody else is at work. */
  #launching = 0
  #ending = false
  #closed: Promise<void> | undefined
  #counts = { restores: 0, boots: 0, bootRetries: 0, restoreFailures: 0, saved: 0, saveFailures: 0 }

  constructor(options: LauncherOptions) {
    this.#store = options.store
    this.#admission = options.admission
    this.#origin = options.origin
    this.#logger = options.logger
    this.#spares = new Spares(options)
  }

  /**
   * A VM that is ready to run code.
   * @throws CapacityError when there is no room in time · BootError · DependencyError · AbortedError
   */
  async launch(request: LaunchRequest): Promise<LaunchedVm> {
    const { template, build } = await this.#look(request)
    this.#launching += 1
    let boots = true
    try {
      return await this.#launchWith(template, request)
    } catch (error) {
      boots = !(error instanceof BootError)
      throw error
    } finally {
      this.#launching -= 1
      build?.begin(boots)
    }
  }

  /** The template for such VMs, built now if there is none. Undefined when it could not be kept (told in the log). */
  async bake(plan: VmPlan, { language, imports }: WarmUp, signal: AbortSignal): Promise<Template | undefined> {
    const admissionTimeoutMs = BUILD_ADMISSION_TIMEOUT_MS.most
    const { template, build } = await this.#look({
      plan,
      language,
      imports,
      signal,
      onBootLog: undefined,
      unique: false,
      admissionTimeoutMs,
    })
    build?.begin(true)
    return template ?? (build === undefined ? undefined : await untilAborted(build.done, signal))
  }

  stats(): LauncherStats {
    return { ...this.#counts, saving: this.#builds.size, spares: this.#spares.size }
  }

  /** No template is begun any more: whoever announced one and fails because of the end does not make the end wait for it. */
  stopBuilding(): void {
    this.#ending = true
  }

  /**
   * Waits for the templates that are being saved, within limits. Nothing is launched any more.
   * @param signal gives up what is not saved yet
   */
  async close(signal?: AbortSignal): Promise<void> {
    this.stopBuilding()
    this.#closed ??= this.#finish(signal)
    await this.#closed
  }

  async #finish(signal: AbortSignal | undefined): Promise<void> {
    await this.#spares.close()
    const builds = Promise.all([...this.#builds.values()].map(async ({ done }) => await done))
    try {
      await withDeadline(builds, { timeoutMs: LAST_BUILDS_MS, signal, onTimeout: () => new Error('still saving') })
    } catch {
      this.#closing.abort(new Error('the scheduler was closed'))
      await builds
    }
  }

  /** The template, waited for if it is being built; or the announcement that the caller will have one built. */
  async #look(
    request: BuildRequest & Pick<LaunchRequest, 'onBootLog' | 'unique' | 'signal'>,
  ): Promise<{ readonly template?: Template | undefined; readonly build?: Build }> {
    if (request.onBootLog !== undefined || request.unique) return {}
    const spec = templateSpec(this.#origin, request.plan, request)
    const key = templateKey(spec)
    const under = this.#builds.get(key)
    if (under !== undefined) return { template: await untilAborted(under.done, request.signal) }
    const template = await this.#store.open(key, { signal: request.signal })
    if (template !== undefined) return { template }
    const since = this.#builds.get(key)
    if (since !== undefined) return { template: await untilAborted(since.done, request.signal) }
    if (this.#ending || !this.#store.keepsTemplates) return {}
    if (!this.#trust.mayBuild(key, performance.now())) return {}
    return { build: this.#announce(key, spec, request) }
  }

  async #launchWith(template: Template | undefined, request: LaunchRequest): Promise<LaunchedVm> {
    const startedAt = performance.now()
    // What is made ahead of demand leaves what is ready for those who want it.
    const spare = template === undefined || request.ahead ? undefined : this.#spares.take(template.key)
    const reservation = spare?.reservation ?? (await this.#room(request))
    let unused = spare
    try {
      if (!request.ahead) await reservation.work({ signal: request.signal, timeoutMs: request.admissionTimeoutMs })
      const admissionMs = performance.now() - startedAt
      unused = undefined
      // Several at once would wait for the disk page by page where it is slow; nobody waits for this.
      if (template !== undefined && this.#launching > 1) {
        void this.#store.readAhead(template, { signal: this.#closing.signal })
      }
      const restored = template === undefined ? undefined : await this.#restore(template, request, spare?.qemu)
      const { vm, source } = restored ?? { vm: await this.#boot(request), source: 'cold-boot' }
      // A slot is free when the process is dead, not when it was told to die.
      void vm.ended.then(() => reservation.release())
      return { vm, reservation, admissionMs, source }
    } catch (error) {
      await unused?.qemu.stop('forced', 'it was not needed')
      reservation.release()
      throw error
    }
  }

  /** Room for one more VM. What waits ahead of demand makes way for what is wanted now. */
  async #room(request: LaunchRequest): Promise<Reservation> {
    const { plan, signal, admissionTimeoutMs: timeoutMs, ahead } = request
    if (ahead) {
      const reservation = this.#admission.tryAdmit(plan)
      if (reservation !== undefined) return reservation
      throw new CapacityError('No room for a VM that nobody waits for yet', { waitedMs: 0 })
    }
    return await this.#admit(plan, { signal, timeoutMs })
  }

  async #admit(plan: VmPlan, options: WaitOptions): Promise<Reservation> {
    const admitted = this.#admission.admit(plan, options)
    if (this.#admission.stats().waiting > 0) this.#spares.dropAll('its room was needed')
    return await admitted
  }

  /** Undefined when the template is of no use; the caller boots instead, with the room it already has. */
  async #restore(
    template: Template,
    request: LaunchRequest,
    ahead: QemuProcess | undefined,
  ): Promise<Pick<LaunchedVm, 'vm' | 'source'> | undefined> {
    const { key, ram, state } = template
    const plan = withMemory(request.plan, { kind: 'template', ram, state })
    const resumed = ahead === undefined ? undefined : await this.#goOn(plan, request, ahead)
    try {
      const vm = resumed ?? (await this.#start(plan, request))
      this.#counts.restores += 1
      this.#trust.restored(key)
      // A pool keeps VMs ready itself, and its fills do not take what is ready.
      if (!request.ahead) this.#prepareNext(key, plan)
      return { vm, source: resumed === undefined ? 'disk-snapshot' : 'memory-snapshot' }
    } catch (error) {
      if (request.signal.aborted) throw error
      this.#counts.restoreFailures += 1
      const cause = error instanceof Error ? error.message : String(error)
      this.#logger.warn('restore failed, booting instead', { template: key, cause })
      if (!this.#trust.restoreFailed(key, error, performance.now())) return undefined
      this.#spares.drop(key, 'its template was discarded')
      await this.#store.discard(template, cause)
      return undefined
    }
  }

  /** Undefined when the process that was started ahead has ended meanwhile, which says nothing about its template. */
  async #goOn(plan: VmPlan, request: LaunchRequest, ahead: QemuProcess): Promise<Vm | undefined> {
    try {
      return await this.#start(plan, request, ahead)
    } catch (error) {
      if (request.signal.aborted) throw error
      this.#logger.debug('a spare was lost', { cause: error instanceof Error ? error.message : String(error) })
      return undefined
    }
  }

  #prepareNext(key: string, plan: VmPlan): void {
    const uses = (this.#uses.get(key) ?? 0) + 1
    this.#uses.set(key, uses)
    // In a burst the processors are busy with VMs that somebody waits for.
    if (uses >= USES_BEFORE_SPARE && this.#launching === 1) this.#spares.start(key, plan)
  }

  async #boot(request: LaunchRequest): Promise<Vm> {
    const vm = await this.#start(request.plan, request)
    this.#counts.boots += 1
    return vm
  }

  async #start(plan: VmPlan, request: LaunchRequest, ahead?: QemuProcess): Promise<Vm> {
    return await launchVm(plan, {
      ahead,
      language: request.language,
      identity: request.identity,
      onBootLog: request.onBootLog,
      signal: request.signal,
      logger: this.#logger,
      onRetry: () => {
        this.#counts.bootRetries += 1
      },
    })
  }

  /** Whoever comes from now on waits for this build, until `begin` and the build are done: without a template it boots itself. */
  #announce(key: string, spec: TemplateSpec, request: BuildRequest): Build {
    let begin: (boots: boolean) => void = () => undefined
    const begun = new Promise<boolean>((resolve) => {
      begin = resolve
    })
    const done = begun.then(async (boots) => {
      const template = this.#ending || !boots ? undefined : await this.#tryToBuild(key, spec, request)
      this.#builds.delete(key)
      return template
    })
    const build = { done, begin }
    this.#builds.set(key, build)
    return build
  }

  /** Never rejects. */
  async #tryToBuild(key: string, spec: TemplateSpec, request: BuildRequest): Promise<Template | undefined> {
    let failure: unknown
    try {
      const template = await this.#build(spec, request)
      if (template !== undefined) {
        this.#counts.saved += 1
        return template
      }
    } catch (error) {
      failure = error
      const cause = error instanceof Error ? error.message : String(error)
      // Whoever closes and does not wait knows it already.
      const level = this.#closing.signal.aborted ? 'debug' : 'warn'
      this.#logger[level]('no template was saved', { language: request.language, cause })
    }
    this.#counts.saveFailures += 1
    this.#trust.buildFailed(key, failure, performance.now())
    return undefined
  }

  async #build(spec: TemplateSpec, request: BuildRequest): Promise<Template | undefined> {
    const { plan, language, imports, admissionTimeoutMs } = request
    const signal = this.#closing.signal
    const { most, least } = BUILD_ADMISSION_TIMEOUT_MS
    const timeoutMs = Math.min(most, Math.max(least, admissionTimeoutMs))
    return await this.#store.build(
      spec,
      async (files) => {
        const reservation = await this.#admit(plan, { signal, timeoutMs })
        try {
          return await buildTemplate(plan, files, { language, imports, signal, logger: this.#logger })
        } finally {
          reservation.release()
        }
      },
      { signal },
    )
  }
}
