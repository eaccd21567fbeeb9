import type { VmPlan } from '../../qemu/index.ts'
import type { Language } from '../../sandbox/index.ts'
import type { Scheduler } from '../../scheduler.ts'
import type { SchedulerOptions } from '../../scheduler-options.ts'
import type { Alternative } from './alternative.ts'
import type { BareMachine } from './floor/bare-machine.ts'
import type { Recorder } from './recorder.ts'

/** What a scenario is given. */
export interface Bench {
  readonly languages: readonly Language[]
  /** Rounds of this scenario. */
  readonly rounds: number
  readonly quick: boolean
  /** Processors that this process may use: so many bare VMs and alternatives work at once where a scenario has many. */
  readonly cores: number
  readonly recorder: Recorder
  readonly signal: AbortSignal
  /** What the product's VMs are made of. */
  readonly plan: VmPlan
  /** Starts VMs without the product. */
  readonly bare: BareMachine
  readonly alternatives: readonly Alternative[]
  /** A scheduler with the user's own settings; the scenario closes it. */
  readonly scheduler: (options?: SchedulerOptions) => Scheduler
}

export interface Scenario {
  readonly name: string
  /** For people: what is measured. */
  readonly title: string
  /** Rounds unless the user says otherwise; 0: left out unless it is named. */
  readonly rounds: { readonly full: number; readonly quick: number }
  /** `first`: one language says it all, the first of those chosen. */
  readonly languages: 'each' | 'first'
  readonly run: (bench: Bench) => Promise<void>
}

/** Names of the contestants in reports. */
export const NAMES = {
  product: 'exec-sandbox',
  floor: 'bare QEMU',
} as const

/** The measure of most scenarios: from the call, or from the start of the first process, to the result. */
export const CALL_TO_RESULT = 'call to result'
