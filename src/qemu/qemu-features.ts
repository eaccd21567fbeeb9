import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { z } from 'zod'
import { DependencyError, type Logger, SandboxError } from '../base/index.ts'
import { type HostPaths, qemuFeaturesFile, writeJsonAtomic } from '../host/index.ts'
import type { QemuVersion } from './qmp-messages.ts'
import { QEMU_DESCRIPTORS, renderArgument } from './qemu-arguments.ts'
import { QemuProcess } from './qemu-process.ts'
import { programFile } from './qemu-program.ts'
import type { CpuPlan, JailPlan, ProcessPlan, QemuProgram } from './vm-plan.ts'

/** The oldest QEMU that restores templates: `rom=off` of file-backed memory came with it. */
export const OLDEST_QEMU: QemuVersion = { major: 8, minor: 2, micro: 0 }

/** What a QEMU binary said about itself when asked over QMP. */
export interface QemuFeatures {
  readonly version: QemuVersion
  /** Under TCG: the best model it has, without what it cannot emulate. */
  readonly cpu: CpuPlan
}

export interface AskQemuOptions {
  readonly program: QemuProgram
  readonly jail: JailPlan
  readonly paths: HostPaths
  readonly logger: Logger
  readonly signal?: AbortSignal | undefined
}

/**
 * Models in order of preference (requirement B10). The first one that the binary has is taken; every x86 QEMU has `max`.
 */
export const TCG_MODELS = [
  'SapphireRapids-v2',
  'SapphireRapids-v1',
  'Icelake-Server-v4',
  'Skylake-Server-v4',
  'max',
] as const

/**
 * The vendor that an emulated CPU names. From an Intel one that cannot say `rdcl_no`, which TCG cannot, the kernel expects
 * Meltdown and isolates its page tables; each system call then flushes TCG's translations, and costs ten times as much
 * (docs/decisions/0007-emulated-cpu.md). From this vendor it expects none. `mitigations=auto` stays (requirement A02).
 */
const TCG_VENDOR = 'AuthenticAMD'

/** Nested virtualization is never offered (requirement A13). */
export const NO_NESTING: readonly string[] = ['svm', 'vmx']

/**
 * Where string instructions are said to be fast, kernel and libc copy and clear a byte at a time by them, which TCG takes
 * literally; without that they move words and vectors (docs/decisions/0007-emulated-cpu.md).
 */
const FAST_STRINGS: readonly string[] = ['erms', 'fsrm', 'fsrs', 'fzrm']

const featuresFile = z.object({
  version: z.object({ major: z.number(), minor: z.number(), micro: z.number() }),
  cpu: z.object({ model: z.string(), vendor: z.string(), off: z.array(z.string()) }),
})

const machines = z.array(z.object({ name: z.string() }))
const cpuDefinitions = z.array(
  z.object({ name: z.string(), 'unavailable-features': z.array(z.string().max(128)).max(512).optional() }),
)

/**
 * Asks a QEMU binary, once: the answer is kept as long as the file does not change.
 * @throws DependencyError when it is too old, lacks the machine, or does not answer
 */
export async function askQemu(options: AskQemuOptions): Promise<QemuFeatures> {
  const file = qemuFeaturesFile(options.paths, await programKey(options.program))
  const kept = featuresFile.safeParse(await readJson(file))
  if (kept.success) return kept.data
  const features = await interrogate(options)
  await writeJsonAtomic(file, features).catch((error: unknown) =>
    // Asking again next time costs a few hundredths of a second; an unwritable cache is told by whom it stops.
    options.logger.debug('QEMU features not kept', { cause: error instanceof Error ? error.message : String(error) }),
  )
  return features
}

/** Stands for the content of the binary and how it was asked. Where its tree stands does not matter: images share trees. */
export async function programKey(program: QemuProgram): Promise<string> {
  const { size, mtimeMs } = await stat(programFile(program))
  return createHash('sha256')
    .update(
      JSON.stringify(['qemu', 2, program.binary, size, mtimeMs, TCG_MODELS, TCG_VENDOR, NO_NESTING, FAST_STRINGS]),
    )
    .digest('hex')
    .slice(0, 32)
}

async function interrogate(options: AskQemuOptions): Promise<QemuFeatures> {
  const { program, logger, signal } = options
  const qemu = await QemuProcess.startWith(planToAsk(options), ARGUMENTS_TO_ASK, { logger, signal }).catch(
    (error: unknown) => {
      if (error instanceof SandboxError && error.code !== 'BOOT') throw error
      throw unusable(program, `does not answer as QEMU does: ${error instanceof Error ? error.message : ''}`, error)
    },
  )
  try {
    const { version } = qemu.qmp
    if (compareVersions(version, OLDEST_QEMU) < 0) {
      throw unusable(program, `is version ${formatVersion(version)}; at least ${formatVersion(OLDEST_QEMU)} is needed`)
    }
    const names = await qemu.qmp.execute('query-machines', {}, { result: machines, signal })
    if (!names.some(({ name }) => name === 'microvm')) throw unusable(program, 'has no machine called microvm')
    const models = await qemu.qmp.execute('query-cpu-definitions', {}, { result: cpuDefinitions, signal })
    return { version, cpu: chooseCpu(models) }
  } finally {
    await qemu.stop('graceful', 'it has been asked')
  }
}

/** The best model among those that the binary has, and what must be off in it. Pure. */
export function chooseCpu(models: z.infer<typeof cpuDefinitions>): CpuPlan {
  for (const name of TCG_MODELS) {
    const found = models.find((model) => model.name === name)
    if (found === undefined) continue
    // QEMU warns of each feature it cannot emulate at every start, fifty lines; turned off by name it says nothing.
    const unavailable = (found['unavailable-features'] ?? []).filter((feature) => /^[\w.-]+$/.test(feature))
    const chosen = [...NO_NESTING, ...FAST_STRINGS]
    const off = [...chosen, ...unavailable.filter((feature) => !chosen.includes(feature))]
    return { model: name, vendor: TCG_VENDOR, off }
  }
  return { model: 'max', vendor: TCG_VENDOR, off: [...NO_NESTING, ...FAST_STRINGS] }
}

export function compareVersions(a: QemuVersion, b: QemuVersion): number {
  return a.major - b.major || a.minor - b.minor || a.micro - b.micro
}

export function formatVersion(version: QemuVersion): string {
  return `${version.major}.${version.minor}.${version.micro}`
}

/** An empty machine under TCG, which needs no device and no permission. */
const ARGUMENTS_TO_ASK: readonly string[] = [
  { option: 'machine', value: 'none' },
  { option: 'accel', value: 'tcg' },
  { option: 'nodefaults' },
  { option: 'no-user-config' },
  { option: 'display', value: 'none' },
  { option: 'chardev', value: 'socket', properties: { id: 'qmp', fd: QEMU_DESCRIPTORS.qmp } },
  { option: 'mon', properties: { chardev: 'qmp', mode: 'control' } },
].flatMap(renderArgument)

function planToAsk(options: AskQemuOptions): ProcessPlan {
  return {
    accelerator: 'tcg',
    program: options.program,
    jail: options.jail,
    files: [],
    runtimeDir: options.paths.runtimeDir,
  }
}

const FIX_OF_NAMED =
  'set EXEC_SANDBOX_QEMU to the full path of a qemu-system-x86_64 of at least version 8.2, or unset it'

function unusable(program: QemuProgram, what: string, cause?: unknown): DependencyError {
  const fix = program.named ? FIX_OF_NAMED : 'sbx image build'
  return new DependencyError(`QEMU at ${programFile(program)} ${what}`, { dependency: 'qemu', fix }, cause)
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch {
    return undefined
  }
}
