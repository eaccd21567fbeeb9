import { CapacityError } from '../base/index.ts'
import {
  type AdmissionState,
  cpusFit,
  memoryShortage,
  type Shortage,
  usageOf,
  type Waiting,
} from './admission-queue.ts'
import { type Budget, type Capacity, OVERHEAD_MB, type VmCost } from './budget.ts'

/** The VM is larger than all there is: waiting would not help. */
export function neverFits(cost: VmCost, budget: Budget, waitedMs: number): CapacityError {
  const largest = Math.max(0, budget.memoryMb - OVERHEAD_MB)
  return new CapacityError(
    `A VM with ${cost.memoryMb} MiB (and ${OVERHEAD_MB} MiB for QEMU) is more than the ${budget.memoryMb} MiB that this ` +
      `host may give out in all. Expected at most ${largest} MiB: lower memoryMb, or raise overcommit.memory or the ` +
      'memory limit of this process',
    { waitedMs: Math.round(waitedMs) },
    { retryable: false },
  )
}

/** More callers wait than a host that makes progress could have. */
export function queueFull(limit: number): CapacityError {
  return new CapacityError(
    `Expected at most ${limit} calls waiting for capacity. Await earlier calls before making new ones`,
    { waitedMs: 0 },
  )
}

/** Nothing became free in time. */
export function notInTime(
  waiting: Waiting,
  state: AdmissionState,
  moment: { capacity: Capacity; waitedMs: number },
): CapacityError {
  const { capacity, waitedMs } = moment
  const what = waiting.kind === 'admit' ? 'No room for another VM' : 'No processors for a VM that has its memory'
  return new CapacityError(
    `${what} within ${Math.round(waitedMs)} ms: ${explain(waiting, state, capacity)}. Run fewer at once, close sessions ` +
      'that are not needed, or raise admissionTimeoutMs',
    { waitedMs: Math.round(waitedMs) },
  )
}

function explain(waiting: Waiting, state: AdmissionState, capacity: Capacity): string {
  const usage = usageOf(state)
  const { budget, availableMb, reserveMb, pressurePercent } = capacity
  const words: Record<Shortage, string> = {
    'memory-budget': `${usage.memoryMb} of ${budget.memoryMb} MiB are given out`,
    'host-memory': `the host has ${availableMb} MiB available, of which VMs at work may take ${usage.unseenMb} and ${reserveMb} are reserved`,
    pressure: `tasks of this host waited for memory ${pressurePercent} % of the time`,
    cpus: `${usage.cpus} of ${budget.cpus} processors are in use`,
  }
  // Those ahead in the same line: one who only wants processors does not wait for those who lack memory.
  const before = state.waiting.slice(0, Math.max(0, state.waiting.indexOf(waiting)))
  const ahead = before.filter((other) => waiting.kind === 'admit' || other.kind === 'work').length
  const need = waiting.kind === 'admit' ? waiting.need : state.held.get(waiting.holding)?.need
  const reasons: string[] = []
  if (need !== undefined) {
    const shortage = waiting.kind === 'admit' ? memoryShortage(usage, need, capacity) : undefined
    if (shortage !== undefined) reasons.push(words[shortage])
    if (!cpusFit(usage, need, capacity)) reasons.push(words.cpus)
  }
  if (ahead > 0) reasons.push(`${ahead} earlier ${ahead === 1 ? 'call waits' : 'calls wait'}`)
  return reasons.length === 0 ? 'nothing became free' : reasons.join(', ')
}
