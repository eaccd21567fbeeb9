import { AbortedError, BootError, type Logger } from '../base/index.ts'
import type { ProbeResult } from './accelerator-verdict.ts'
import { kernelCommandLine } from './kernel-command-line.ts'
import type { ImageFiles } from './plan-vm.ts'
import { describeExit } from './qemu-exit.ts'
import { NO_NESTING, type QemuFeatures } from './qemu-features.ts'
import { QemuProcess } from './qemu-process.ts'
import { type Accelerator, type JailPlan, type QemuProgram, vmFiles, type VmPlan } from './vm-plan.ts'

export interface ProbeBootOptions {
  readonly accelerator: Accelerator
  readonly program: QemuProgram
  readonly jail: JailPlan
  readonly features: QemuFeatures
  readonly image: Pick<ImageFiles, 'kernel' | 'initramfs'>
  readonly runtimeDir: string
  readonly logger: Logger
  readonly signal?: AbortSignal | undefined
}

/**
 * Milliseconds for a boot to the agent. KVM needs a few tenths of a second; emulation needs less than one. A kernel
 * that has not got there by now loops.
 */
export const PROBE_LIMIT_MS = 4_000

/** What the agent writes when it has been booted with `exec_sandbox.probe`; then it ends the VM. */
const PROBE_WORD = '[probe] ok'

/** Enough for the kernel and the agent. */
const PROBE_MEMORY_MB = 128

/** Boots our kernel and agent once and tells how far it got, within a hard limit. Never throws but for an abort. */
export async function probeBoot(options: ProbeBootOptions): Promise<ProbeResult> {
  const startedAt = performance.now()
  const took = (): number => Math.round(performance.now() - startedAt)
  const name = options.accelerator.toUpperCase()
  let seen: (() => void) | undefined
  const greeted = new Promise<'ok'>((resolve) => {
    seen = () => resolve('ok')
  })
  const limit = AbortSignal.timeout(PROBE_LIMIT_MS)
  const signal = options.signal === undefined ? limit : AbortSignal.any([options.signal, limit])
  try {
    await using qemu = await QemuProcess.start(planProbe(options), {
      logger: options.logger,
      signal,
      onBootLog: (line) => {
        if (line.includes(PROBE_WORD)) seen?.()
      },
    })
    const outcome = await Promise.race([greeted, qemu.exited, aborted(signal)])
    // The word and the exit that follows it may arrive in either order.
    if (outcome === 'ok' || qemu.bootLog.text().includes(PROBE_WORD)) {
      return { usable: true, reason: `our kernel booted under ${name} in ${took()} ms`, tookMs: took() }
    }
    if (outcome !== 'aborted')
      return { usable: false, reason: `under ${name} ${describeExit(outcome)}`, tookMs: took() }
    if (options.signal?.aborted) throw new AbortedError('The accelerator probe was aborted', options.signal.reason)
    const far = qemu.bootLog.text() === '' ? 'the kernel ran without writing a line' : 'the agent was not reached'
    return { usable: false, reason: `under ${name} ${far} within ${PROBE_LIMIT_MS / 1000} s`, tookMs: took() }
  } catch (error) {
    if (error instanceof BootError)
      return { usable: false, reason: `under ${name}: ${describeBoot(error)}`, tookMs: took() }
    if (error instanceof AbortedError && options.signal?.aborted !== true) {
      return {
        usable: false,
        reason: `QEMU did not start under ${name} within ${PROBE_LIMIT_MS / 1000} s`,
        tookMs: took(),
      }
    }
    throw error
  }
}

function describeBoot(error: BootError): string {
  const lines = error.details.stderr.trim().split('\n')
  return lines.at(-1) || error.message
}

async function aborted(signal: AbortSignal): Promise<'aborted'> {
  if (signal.aborted) return 'aborted'
  return await new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve('aborted'), { once: true })
  })
}

function planProbe(options: ProbeBootOptions): VmPlan {
  const { accelerator, program, jail, runtimeDir } = options
  const { kernel, initramfs } = options.image
  const image = { kernel, initramfs, root: undefined, layer: undefined, memory: { kind: 'anonymous' } } as const
  return {
    accelerator,
    program,
    jail,
    runtimeDir,
    files: vmFiles(image),
    cpu: accelerator === 'kvm' ? { model: 'host', off: NO_NESTING } : options.features.cpu,
    memoryMb: PROBE_MEMORY_MB,
    cpus: 1,
    ...image,
    kernelCommandLine: kernelCommandLine({ accelerator, verbose: false, rootSerial: undefined }),
  }
}
