import type { GroupLimits } from '../host/index.ts'
import type { ProcessPlan, VmPlan } from './vm-plan.ts'

const MB = 1_048_576

/** A QEMU that is only asked about itself has no guest. */
const NO_GUEST = { memoryMb: 128, cpus: 1 } as const

/**
 * Megabytes of a QEMU beside its guest's memory. Measured (docs/decisions/0021-host-limits.md): 25 to 30 for itself, under
 * emulation up to 128 of translated code as well, and page tables of a five-hundredth of the guest's memory.
 */
const OVERHEAD_MB = { kvm: 128, tcg: 256 } as const

/** Processors of the main loop and of the threads that read disks, beside those of the guest. */
const OVERHEAD_CPUS = 0.5

/** Threads of one QEMU: one per processor, the main loop, RCU, and up to 64 of the block layer's pool. */
export const THREADS_LIMIT = 128

/** Processes of bubblewrap and the commands before QEMU. */
const JAIL_TASKS = 8

/** What a control group lets the VM take. Pure. */
export function groupLimits(plan: ProcessPlan & Partial<Pick<VmPlan, 'memoryMb' | 'cpus'>>): GroupLimits {
  const { accelerator, memoryMb = NO_GUEST.memoryMb, cpus = NO_GUEST.cpus } = plan
  return {
    memoryBytes: (memoryMb + Math.ceil(memoryMb / 256) + OVERHEAD_MB[accelerator]) * MB,
    cpus: cpus + OVERHEAD_CPUS,
    tasks: THREADS_LIMIT + JAIL_TASKS,
  }
}

/** Address space for stacks of all threads, which are mapped whole and used little. */
const STACKS_MB = 1_024

/**
 * RLIMIT_DATA of QEMU in bytes: private memory that it may map, whether it uses it or not. The wall where there is no control group, and too
 * high to be met by a QEMU that works. Pure.
 */
export function dataLimit(memoryMb: number = NO_GUEST.memoryMb): number {
  return (memoryMb + OVERHEAD_MB.tcg + STACKS_MB) * MB
}
