import { type VmPlan, withMemory } from '../../../qemu/index.ts'
import type { Language } from '../../../sandbox/index.ts'
import { renderBareCommand } from './bare-command.ts'
import { BareVm } from './bare-vm.ts'
import type { OrphanGuard } from './orphan-guard.ts'

/** The two files of a template. */
export interface TemplateFilePair {
  readonly ram: string
  readonly state: string
}

export interface BareMachineOptions {
  /** The plan of the product's VMs. */
  readonly plan: VmPlan
  /** The product's own template of a plan and a language. */
  readonly template: (plan: VmPlan, language: Language) => Promise<TemplateFilePair>
  readonly guard: OrphanGuard
  readonly signal: AbortSignal
}

/** Starts VMs as the product does, with none of the product. The caller disposes of each. */
export class BareMachine {
  readonly #options: BareMachineOptions
  readonly #templates = new Map<Language, TemplateFilePair>()

  constructor(options: BareMachineOptions) {
    this.#options = options
  }

  /** The same with another amount of memory. @param memoryMb MiB */
  withMemory(memoryMb: number): BareMachine {
    return new BareMachine({ ...this.#options, plan: { ...this.#options.plan, memoryMb } })
  }

  /** A VM whose kernel is about to boot. */
  boot(): BareVm {
    return new BareVm(renderBareCommand(this.#options.plan), this.#options)
  }

  /** Finds the template of a language; to be called before the clock runs. */
  async prepare(language: Language): Promise<TemplateFilePair> {
    const template = await this.#options.template(this.#options.plan, language)
    this.#templates.set(language, template)
    return template
  }

  /** A VM of the product's template, running, before its first request. */
  async restore(language: Language): Promise<BareVm> {
    const vm = await this.load(language)
    vm.goOn()
    return vm
  }

  /** A VM of the product's template, its state loaded, not yet running. */
  async load(language: Language): Promise<BareVm> {
    const template = this.#templates.get(language)
    if (template === undefined) throw new TypeError(`no template of ${language} was prepared`)
    const plan = withMemory(this.#options.plan, { kind: 'template', ...template })
    const vm = new BareVm(renderBareCommand(plan), this.#options)
    try {
      await vm.load(template.state)
      return vm
    } catch (error) {
      await vm[Symbol.asyncDispose]()
      throw error
    }
  }
}
