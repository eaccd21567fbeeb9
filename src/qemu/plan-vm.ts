import type { AcceleratorVerdict } from './accelerator-verdict.ts'
import { kernelCommandLine } from './kernel-command-line.ts'
import { LAYER_SERIAL, ROOT_SERIAL } from './qemu-arguments.ts'
import { NO_NESTING } from './qemu-features.ts'
import { type LayerDisk, type MemoryPlan, vmFiles, type VmPlan } from './vm-plan.ts'

/** The files of an image that a VM is made of; `Image` of the image part fits. */
export interface ImageFiles {
  readonly kernel: string
  readonly initramfs: string
  readonly root: string
  /** The QEMU runtime tree. */
  readonly runtime: string
}

export interface PlanOptions {
  readonly image: ImageFiles
  /** Installed packages. @default none */
  readonly layer?: LayerDisk | undefined
  /** What was decided for this host: accelerator, QEMU, jail. */
  readonly verdict: AcceleratorVerdict
  readonly memoryMb: number
  readonly cpus: number
  /** Kernel messages and the agent's debug log in the boot log. */
  readonly verbose: boolean
}

/** The frozen plan of a VM. Pure. */
export function planVm(options: PlanOptions): VmPlan {
  const { image, layer, verdict, memoryMb, cpus, verbose } = options
  return Object.freeze({
    accelerator: verdict.accelerator,
    program: verdict.program,
    jail: verdict.jail,
    runtimeDir: verdict.runtimeDir,
    groups: verdict.groups,
    files: vmFiles({ ...image, layer, memory: ANONYMOUS }),
    cpu: verdict.accelerator === 'kvm' ? KVM_CPU : verdict.features.cpu,
    memoryMb,
    memory: ANONYMOUS,
    cpus,
    kernel: image.kernel,
    initramfs: image.initramfs,
    root: image.root,
    layer,
    kernelCommandLine: kernelCommandLine({
      accelerator: verdict.accelerator,
      verbose,
      rootSerial: ROOT_SERIAL,
      layerSerial: layer === undefined ? undefined : LAYER_SERIAL,
    }),
  })
}

const ANONYMOUS: MemoryPlan = Object.freeze({ kind: 'anonymous' })

/** The host's processor without what cannot be frozen into a template; QEMU's default for `host` is migratable. */
const KVM_CPU = Object.freeze({ model: 'host', off: NO_NESTING })
