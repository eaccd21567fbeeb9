import { DependencyError, type Logger, SandboxError } from '../base/index.ts'
import { FileLock, findKvmDevice, type HostPaths, lockFile, readBootId } from '../host/index.ts'
import {
  type AcceleratorVerdict,
  type ProbeResult,
  recallResult,
  rememberResult,
  verdictKey,
} from './accelerator-verdict.ts'
import { chooseGroups } from './choose-groups.ts'
import { chooseJail, type JailMode } from './jail-choice.ts'
import { killOrphans } from './orphans.ts'
import type { ImageFiles } from './plan-vm.ts'
import { PROBE_LIMIT_MS, probeBoot } from './probe-boot.ts'
import { askQemu, type QemuFeatures } from './qemu-features.ts'
import { resolveProgram } from './qemu-program.ts'
import type { JailPlan, QemuProgram } from './vm-plan.ts'

export interface AcceleratorOptions {
  readonly requested: 'auto' | 'kvm' | 'tcg'
  readonly image: ImageFiles
  readonly paths: HostPaths
  readonly env: NodeJS.ProcessEnv
  readonly jail: JailMode
  readonly logger: Logger
  readonly signal?: AbortSignal | undefined
}

/** How long one process waits for another that probes: its probe, with room for a slow start. */
const LOCK_TIMEOUT_MS = PROBE_LIMIT_MS + 5_000

/**
 * Decides what VMs run on here. KVM is believed only after our kernel has run under it: there are hosts where /dev/kvm
 * answers every call and no stock kernel ever gets anywhere. The verdict is kept for this boot of the host.
 * @throws DependencyError when KVM was demanded and is unusable, or QEMU or the jail is missing
 */
export async function decideAccelerator(options: AcceleratorOptions): Promise<AcceleratorVerdict> {
  const { requested, env, image, paths, logger, signal } = options
  const [jail, orphans, program, groups] = await Promise.all([
    chooseJail(options.jail, env, paths),
    killOrphans(),
    resolveProgram(env, image.runtime),
    chooseGroups(env, logger),
  ])
  if (orphans.length > 0) logger.warn('removed what a host process left that was killed', { processes: orphans.length })
  const features = await askQemu({ program, jail, paths, logger, signal })
  const common = { features, jail, program, runtimeDir: paths.runtimeDir, groups }
  const tcg = { ...common, accelerator: 'tcg' } as const
  if (requested === 'tcg') return { ...tcg, reason: 'TCG was asked for', source: 'requested' }
  const device = await findKvmDevice()
  if (device.state !== 'openable') {
    if (requested === 'kvm') throw unusableKvm(device.reason, device.state === 'denied' ? device.fix : NO_KVM_FIX)
    return { ...tcg, reason: device.reason, source: 'device' }
  }
  const { result, remembered } = await probeOnce(options, { jail, features, program })
  logger.debug('accelerator probe', { usable: result.usable, reason: result.reason, remembered })
  const source = remembered ? 'remembered' : 'probe'
  if (result.usable) {
    return { ...common, accelerator: 'kvm', reason: result.reason, source }
  }
  if (requested === 'kvm') throw unusableKvm(result.reason, NO_KVM_FIX)
  return { ...tcg, reason: result.reason, source }
}

const NO_KVM_FIX = 'use --accelerator tcg (or auto), or a host whose hypervisor offers working nested virtualization'

function unusableKvm(reason: string, fix: string): DependencyError {
  return new DependencyError(`KVM was asked for and is not usable: ${reason}`, { dependency: 'kvm', fix })
}

interface ProbeParts {
  readonly jail: JailPlan
  readonly features: QemuFeatures
  readonly program: QemuProgram
}

interface ProbeOutcome {
  readonly result: ProbeResult
  readonly remembered: boolean
}

/** The remembered result, or a probe under a lock that all processes with this cache share. */
async function probeOnce(options: AcceleratorOptions, parts: ProbeParts): Promise<ProbeOutcome> {
  const { image, paths, logger, signal } = options
  const { program } = parts
  const key = await verdictKey({ bootId: await readBootId(), program, kernel: image.kernel, jail: parts.jail.kind })
  const known = await recallResult(paths, key)
  if (known !== undefined) return { result: known, remembered: true }
  await using _lock = await FileLock.acquire(lockFile(paths, 'accelerator-probe'), {
    timeoutMs: LOCK_TIMEOUT_MS,
    signal,
    onTimeout: () => unusableKvm('another process has been probing KVM for too long', 'try again; see sbx doctor'),
  })
  const found = await recallResult(paths, key)
  if (found !== undefined) return { result: found, remembered: true }
  const result = await probeBoot({
    accelerator: 'kvm',
    program,
    jail: parts.jail,
    features: parts.features,
    image,
    runtimeDir: paths.runtimeDir,
    logger,
    signal,
  })
  await rememberResult(paths, key, result).catch((error: unknown) => {
    if (error instanceof SandboxError) throw error
    logger.warn('the accelerator verdict cannot be kept', {
      cause: error instanceof Error ? error.message : String(error),
    })
  })
  return { result, remembered: false }
}
