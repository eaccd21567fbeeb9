import { type Accelerator, templateArguments, type VmPlan } from '../qemu/index.ts'
import type { TemplateSpec } from './template-key.ts'
import { importProgram, WARM_COMMAND, warmUpPrograms } from './warm-up.ts'

/** Raised when what a template holds changes its meaning without any of its parts changing. */
export const TEMPLATE_FORMAT = 1

/** What the templates of this host are made of, found out once. */
export interface SpecSource {
  /** Stands for the content of kernel, initramfs, root and runtime tree. */
  readonly imageId: string
  /** Stands for the QEMU binary. */
  readonly program: string
  readonly accelerator: Accelerator
  /** Stands for what the guest has seen of the host: under KVM its processor and kernel, under TCG the rate of its clock. */
  readonly host: string | undefined
}

/** How the interpreter of a template is warmed. */
export interface WarmUp {
  readonly language: string
  /** Modules of a layer's packages that are imported ahead. @default none */
  readonly imports?: readonly string[] | undefined
}

/** Everything that shapes the template of such a VM. Pure. */
export function templateSpec(source: SpecSource, plan: VmPlan, { language, imports = [] }: WarmUp): TemplateSpec {
  const importing = importProgram(language, imports)
  return {
    format: TEMPLATE_FORMAT,
    ...source,
    layer: plan.layer?.digest,
    argv: templateArguments(plan),
    language,
    warmUp: [...(importing === undefined ? [] : [importing]), ...warmUpPrograms(language), ...WARM_COMMAND].join(
      '\n\n',
    ),
    memoryMb: plan.memoryMb,
    cpus: plan.cpus,
  }
}
