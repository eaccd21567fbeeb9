/**
 * Who holds what and who waits for what: a value, and pure functions from one value to the next. Effects (promises,
 * timers, measuring) are in admission.ts.
 *
 *   admit ──────▶ waiting ──settle──▶ working ◀──settle── waiting ◀── work
 *                    │                 │   ▲                           │
 *                 abandon            rest  │ (work)                 abandon
 *                    ▼                 ▼   │                           ▼
 *                  gone            settling ──measured──▶ resting    as before
 *                          release from everywhere: gone
 *
 * There are two lines, one for memory and one for processors, and each is strictly first come, first served. A VM
 * that is to be admitted stands in both. A VM that already has its memory (`work`) stands in the line for processors
 * only: it must not wait behind one that lacks memory, because what it holds may be the memory that is lacking.
 */
import type { Capacity, Need } from './budget.ts'

/** `settling`: it has stopped working, and the last measurement of the host may not show all that it took before. */
type Phase = 'working' | 'settling' | 'resting'

interface Holding {
  readonly need: Need
  readonly phase: Phase
  /** Processors charged now: none unless it works, never more than the budget had when it was charged. */
  readonly cpus: number
  /** Made ahead of demand and not used yet. */
  readonly ahead: boolean
}

/** One who waits: for a VM of this need, or for the processors of the VM that `holding` names. */
export type Waiting =
  | { readonly kind: 'admit'; readonly id: number; readonly need: Need }
  | { readonly kind: 'work'; readonly id: number; readonly holding: number }

export interface AdmissionState {
  readonly held: ReadonlyMap<number, Holding>
  /** In the order in which they came. */
  readonly waiting: readonly Waiting[]
}

export interface Usage {
  readonly memoryMb: number
  readonly cpus: number
  /** VMs that work now. */
  readonly working: number
  /** Physical memory that may yet be taken, or may have been since the host was measured. */
  readonly unseenMb: number
  /** Memory of the VMs that were made ahead of demand and not used yet. */
  readonly aheadMb: number
}

/** Why there is no room: the budget, the memory that is really free, its pressure, or the processors. */
export type Shortage = 'memory-budget' | 'host-memory' | 'pressure' | 'cpus'

export interface Settlement {
  readonly state: AdmissionState
  /** Those who got what they waited for, in the order in which they came. */
  readonly granted: readonly Waiting[]
  /** Those whose turn it is and who want more memory than there is in all. */
  readonly refused: readonly Waiting[]
  /** Somebody waits because of what was measured of the host: another measurement may decide otherwise. */
  readonly gated: boolean
}

/**
 * Memory pressure in percent from which nothing more is admitted while something works: tasks of this host spent a
 * tenth of the last ten seconds waiting for memory. A host with room shows 0; single page faults stay below 1.
 */
export const HIGH_PRESSURE_PERCENT = 10

/**
 * Share of the memory budget that VMs made ahead of demand may hold. They wait for calls, so nothing but calls ever
 * releases them: without a share of its own demand for other VMs could wait for ever.
 */
export const AHEAD_SHARE = 0.5

export const NOTHING_HELD: AdmissionState = { held: new Map(), waiting: [] }

export function usageOf(state: AdmissionState): Usage {
  const usage = { memoryMb: 0, cpus: 0, working: 0, unseenMb: 0, aheadMb: 0 }
  for (const { need, phase, cpus, ahead } of state.held.values()) {
    usage.memoryMb += need.memoryMb
    usage.cpus += cpus
    if (phase === 'working') usage.working += 1
    // One that works is counted in full however much it has taken already: how much that is, is known only to its
    // process, and the budget of processors bounds how many work.
    if (phase !== 'resting') usage.unseenMb += need.expectedMb
    if (ahead) usage.aheadMb += need.memoryMb
  }
  return usage
}

/**
 * Whether there is memory for one more. While nothing works nobody will give memory back, so neither pressure nor the
 * reserve counts then: one VM is admitted if the memory it is expected to take is there at all.
 */
export function memoryShortage(usage: Usage, need: Need, capacity: Capacity): Shortage | undefined {
  if (usage.memoryMb + need.memoryMb > capacity.budget.memoryMb) return 'memory-budget'
  const left = capacity.availableMb - usage.unseenMb - need.expectedMb
  if (usage.working === 0) return left >= 0 ? undefined : 'host-memory'
  if ((capacity.pressurePercent ?? 0) >= HIGH_PRESSURE_PERCENT) return 'pressure'
  return left >= capacity.reserveMb ? undefined : 'host-memory'
}

/** Processors to charge: one that wants more than there are in all takes all of them, and so runs alone. */
function chargeOf(need: Need, capacity: Capacity): number {
  return Math.min(need.cpus, capacity.budget.cpus)
}

export function cpusFit(usage: Usage, need: Need, capacity: Capacity): boolean {
  return usage.cpus + chargeOf(need, capacity) <= capacity.budget.cpus
}

/** Joins the end of the lines. `settle` decides. */
export function enqueue(state: AdmissionState, waiting: Waiting): AdmissionState {
  return { ...state, waiting: [...state.waiting, waiting] }
}

/**
 * Whether somebody earlier waits, in a settled state, for all that `waiting` lacks: then nobody is granted anything
 * because it joins the line or leaves it.
 */
export function isBehind(state: AdmissionState, waiting: Waiting): boolean {
  const first = state.waiting.find((other) => other.kind === waiting.kind)
  return first !== undefined && first.id !== waiting.id
}

/** Leaves the lines. */
export function abandon(state: AdmissionState, id: number): AdmissionState {
  return { ...state, waiting: state.waiting.filter((waiting) => waiting.id !== id) }
}

/** Gives what there is to those who wait, in their order. */
export function settle(state: AdmissionState, capacity: Capacity): Settlement {
  let now: AdmissionState = { held: state.held, waiting: [] }
  let usage = usageOf(now)
  const granted: Waiting[] = []
  const refused: Waiting[] = []
  const still: Waiting[] = []
  const line = { memory: true, cpus: true, gated: false }
  for (const [index, waiting] of state.waiting.entries()) {
    // Everybody stands in the line for processors.
    if (!line.cpus) {
      still.push(...state.waiting.slice(index))
      break
    }
    const verdict = judge(waiting, { state: now, usage, capacity, line })
    if (verdict === 'wait') still.push(waiting)
    if (verdict === 'refuse') refused.push(waiting)
    if (verdict !== 'grant') continue
    granted.push(waiting)
    now = hold(now, waiting, capacity)
    usage = usageOf(now)
  }
  return { state: { held: now.held, waiting: still }, granted, refused, gated: line.gated }
}

interface Lines {
  /** Whether the line for memory, or for processors, moves: not once somebody in it waits. */
  memory: boolean
  cpus: boolean
  gated: boolean
}

interface Moment {
  readonly state: AdmissionState
  readonly usage: Usage
  readonly capacity: Capacity
  readonly line: Lines
}

function judge(waiting: Waiting, { state, usage, capacity, line }: Moment): 'grant' | 'wait' | 'refuse' {
  const need = waiting.kind === 'admit' ? waiting.need : state.held.get(waiting.holding)?.need
  // The VM of one who waited to work is gone.
  if (need === undefined) return 'refuse'
  if (waiting.kind === 'admit') {
    if (need.memoryMb > capacity.budget.memoryMb) return 'refuse'
    if (!line.memory) return 'wait'
    const shortage = memoryShortage(usage, need, capacity)
    if (shortage !== undefined) {
      line.memory = false
      line.gated = shortage !== 'memory-budget'
      return 'wait'
    }
  }
  if (cpusFit(usage, need, capacity)) return 'grant'
  line.cpus = false
  return 'wait'
}

function hold(state: AdmissionState, waiting: Waiting, capacity: Capacity): AdmissionState {
  const id = waiting.kind === 'admit' ? waiting.id : waiting.holding
  const need = waiting.kind === 'admit' ? waiting.need : state.held.get(id)?.need
  if (need === undefined) return state
  return withHolding(state, id, { need, phase: 'working', cpus: chargeOf(need, capacity), ahead: false })
}

/** Holds a VM made ahead of demand, or undefined: when it does not fit now, when somebody waits, beyond its share. */
export function holdAhead(
  state: AdmissionState,
  ahead: { readonly id: number; readonly need: Need },
  capacity: Capacity,
): { readonly state?: AdmissionState; readonly gated: boolean } {
  const { id, need } = ahead
  const usage = usageOf(state)
  if (state.waiting.length > 0) return { gated: false }
  if (usage.aheadMb + need.memoryMb > capacity.budget.memoryMb * AHEAD_SHARE) return { gated: false }
  if (!cpusFit(usage, need, capacity)) return { gated: false }
  const shortage = memoryShortage(usage, need, capacity)
  if (shortage !== undefined) return { gated: shortage !== 'memory-budget' }
  const holding: Holding = { need, phase: 'working', cpus: chargeOf(need, capacity), ahead: true }
  return { state: withHolding(state, id, holding), gated: false }
}

/** A VM made ahead of demand serves somebody: it is no longer charged to the share of those that do not. */
export function serve(state: AdmissionState, id: number): AdmissionState {
  const holding = state.held.get(id)
  return holding?.ahead === true ? withHolding(state, id, { ...holding, ahead: false }) : state
}

/** The VM has stopped working: its processors are free. */
export function rest(state: AdmissionState, id: number): AdmissionState {
  const holding = state.held.get(id)
  if (holding?.phase !== 'working') return state
  return withHolding(state, id, { ...holding, phase: 'settling', cpus: 0 })
}

/** The host has been measured: what resting VMs have taken shows in what is available. */
export function measured(state: AdmissionState): AdmissionState {
  if (![...state.held.values()].some((holding) => holding.phase === 'settling')) return state
  const held = [...state.held].map(([id, holding]): [number, Holding] => [
    id,
    holding.phase === 'settling' ? { ...holding, phase: 'resting' } : holding,
  ])
  return { ...state, held: new Map(held) }
}

/** The VM is dead: everything it held is free, and nobody can wait for it to work any more. */
export function release(state: AdmissionState, id: number): AdmissionState {
  if (!state.held.has(id)) return state
  const held = new Map(state.held)
  held.delete(id)
  return { held, waiting: state.waiting.filter((waiting) => waiting.kind !== 'work' || waiting.holding !== id) }
}

function withHolding(state: AdmissionState, id: number, holding: Holding): AdmissionState {
  return { ...state, held: new Map(state.held).set(id, holding) }
}
