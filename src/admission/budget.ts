/** What one VM may cost. */
export interface VmCost {
  readonly memoryMb: number
  readonly cpus: number
}

/** How far the host may be promised beyond what it has, and what of it is never promised. */
export interface BudgetRules {
  /** Times the memory and the processors are given out: most VMs use a part of theirs. */
  readonly overcommit: { readonly memory: number; readonly cpu: number }
  /** `memory`: fraction of the memory; `cpu`: processors. */
  readonly reserve: { readonly memory: number; readonly cpu: number }
}

/** What may be given out in all. */
export interface Budget {
  readonly memoryMb: number
  readonly cpus: number
}

/** What one VM takes of the budget. */
export interface Need {
  /** All that it could ever take. */
  readonly memoryMb: number
  /** Processors while it works. */
  readonly cpus: number
  /** Physical memory that it is expected to take. */
  readonly expectedMb: number
}

/** What the host has now, as the decisions see it. */
export interface Capacity {
  readonly budget: Budget
  /** Physical memory that VMs leave alone. */
  readonly reserveMb: number
  /** Physical memory that can be used now. */
  readonly availableMb: number
  /** Percentage of the last ten seconds in which some task waited for memory; undefined where the kernel does not tell. */
  readonly pressurePercent: number | undefined
}

/**
 * Megabytes that a VM takes at most beyond its guest's memory: 32 for QEMU itself (measured: 13–15 after the first
 * result, 25 at most) and 128 for the code that TCG has translated (its `tb-size`; a long JavaScript run fills 84).
 * Measured in docs/decisions/0008-admission.md.
 */
export const OVERHEAD_MB = 32 + 128

/**
 * Megabytes that every VM is expected to own at least, however small it is and however much is overcommitted: what the
 * greediest of the languages owns after its first result (JavaScript: 41 of QEMU, 4 of the guest's memory).
 */
export const LEAST_EXPECTED_MB = 48

const BYTES_PER_MB = 2 ** 20

/** What a host of this size gives out. At least one processor: a host with less runs one VM after the other. */
export function budgetOf(host: { readonly memoryBytes: number; readonly cpus: number }, rules: BudgetRules): Budget {
  const { overcommit, reserve } = rules
  return {
    memoryMb: Math.floor((host.memoryBytes / BYTES_PER_MB) * (1 - reserve.memory) * overcommit.memory),
    cpus: Math.max(1, (host.cpus - reserve.cpu) * overcommit.cpu),
  }
}

/** What a VM takes of the budget. It is expected to own the share of its most that overcommitting bets on. */
export function needOf(cost: VmCost, rules: Pick<BudgetRules, 'overcommit'>): Need {
  const memoryMb = cost.memoryMb + OVERHEAD_MB
  return {
    memoryMb,
    cpus: cost.cpus,
    expectedMb: Math.max(LEAST_EXPECTED_MB, Math.ceil(memoryMb / rules.overcommit.memory)),
  }
}

/** What the decisions need to know of a host that was just measured. */
export function capacityOf(
  host: { readonly memoryBytes: number; readonly memoryAvailableBytes: number; readonly cpus: number },
  pressurePercent: number | undefined,
  rules: BudgetRules,
): Capacity {
  return {
    budget: budgetOf(host, rules),
    reserveMb: Math.ceil((host.memoryBytes / BYTES_PER_MB) * rules.reserve.memory),
    availableMb: Math.floor(host.memoryAvailableBytes / BYTES_PER_MB),
    pressurePercent,
  }
}
