import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { z } from 'zod'
import { type GroupParent, type HostPaths, verdictFile, writeJsonAtomic } from '../host/index.ts'
import type { QemuFeatures } from './qemu-features.ts'
import { programKey } from './qemu-features.ts'
import type { Accelerator, JailPlan, QemuProgram } from './vm-plan.ts'

/** What VMs run on here, and why. */
export interface AcceleratorVerdict {
  readonly accelerator: Accelerator
  /** One sentence: why this one. */
  readonly reason: string
  /** `probe`: found out just now; `remembered`: found out earlier in this boot of the host. */
  readonly source: 'requested' | 'device' | 'probe' | 'remembered'
  readonly program: QemuProgram
  readonly features: QemuFeatures
  readonly jail: JailPlan
  readonly runtimeDir: string
  /** Where VMs get control groups; undefined where none can be made. */
  readonly groups?: GroupParent | undefined
}

/** What the probe found out about KVM. */
export interface ProbeResult {
  readonly usable: boolean
  /** One sentence: what was seen. */
  readonly reason: string
  /** How long it took to see it, in milliseconds. */
  readonly tookMs: number
}

const resultFile = z.object({ usable: z.boolean(), reason: z.string().max(2_000), tookMs: z.number() })

/** What a verdict holds for: one boot of the host, one QEMU, one kernel, and the way it was started. */
export interface VerdictScope {
  readonly bootId: string
  readonly program: QemuProgram
  readonly kernel: string
  readonly jail: JailPlan['kind']
}

/** The name under which a verdict is kept; any change of its scope is another name. */
export async function verdictKey(scope: VerdictScope): Promise<string> {
  const kernel = await stat(scope.kernel)
  const parts = [
    PROBE_GENERATION,
    scope.bootId,
    await programKey(scope.program),
    kernel.size,
    kernel.mtimeMs,
    scope.jail,
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
}

/** Raised when the probe changes what it tests, so that older results are not believed. */
const PROBE_GENERATION = 1

/** The result kept under `key`; undefined when there is none or it cannot be read, which only costs a new probe. */
export async function recallResult(paths: HostPaths, key: string): Promise<ProbeResult | undefined> {
  try {
    return resultFile.parse(JSON.parse(await readFile(verdictFile(paths, key), 'utf8')))
  } catch {
    return undefined
  }
}

export async function rememberResult(paths: HostPaths, key: string, result: ProbeResult): Promise<void> {
  await writeJsonAtomic(verdictFile(paths, key), result)
}
