import { type Logger, throwIfAborted } from '../base/index.ts'
import { type VmPlan, withMemory } from '../qemu/index.ts'
import { type GuestIdentity, launchVm } from '../vm/index.ts'
import type { TemplateFacts, TemplateFiles } from './template-files.ts'
import { importProgram, WARM_COMMAND, warmUpPrograms } from './warm-up.ts'
import { importPackages, warmCommand, warmVm } from './warm-vm.ts'

export interface BuildTemplateOptions {
  readonly language: string
  /** Modules of a layer's packages that are imported ahead. @default none */
  readonly imports?: readonly string[] | undefined
  readonly signal: AbortSignal
  readonly logger: Logger
}

/** Nobody's: each VM that is resumed gets its own name, as long as this one: files that keep their length are quicker to rewrite. */
const IDENTITY: GuestIdentity = { hostname: 'sandbox-template', env: {} }

/**
 * Boots a VM whose RAM is `files.ram`, warms its interpreter and saves it.
 * @throws BootError · QmpError · VmLostError · AbortedError. No VM is left.
 */
export async function buildTemplate(
  plan: VmPlan,
  files: Pick<TemplateFiles, 'ram' | 'state'>,
  options: BuildTemplateOptions,
): Promise<TemplateFacts> {
  const { language, signal, logger } = options
  const memory = { kind: 'shared', ram: files.ram, state: files.state } as const
  const vm = await launchVm(withMemory(plan, memory), {
    language,
    identity: IDENTITY,
    onBootLog: undefined,
    signal,
    logger,
    onRetry: () => undefined,
  })
  const onAbort = (): void => vm.end('its template was given up')
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    throwIfAborted(signal)
    await warmCommand(vm, WARM_COMMAND)
    // First: where a package ends the interpreter, what follows gets a fresh one.
    const importing = importProgram(language, options.imports ?? [])
    if (importing !== undefined) await importPackages(vm, language, importing)
    for (const program of warmUpPrograms(language)) await warmVm(vm, language, program)
    // Rehearsed: what a resumed VM does first then finds its pages in memory.
    await vm.adopt(IDENTITY, signal)
    const startedAt = performance.now()
    await vm.saveAndClose(signal)
    return { bootLog: vm.bootLog, qemuVersion: vm.qemuVersion, savedMs: performance.now() - startedAt }
  } finally {
    signal.removeEventListener('abort', onAbort)
    await vm.close()
  }
}
