import type { Language } from '../../../sandbox/index.ts'
import type { Scheduler } from '../../../scheduler.ts'
import { ANSWER, checkAnswer } from '../programs.ts'
import type { Role } from '../report.ts'
import { type Bench, NAMES } from '../scenario.ts'
import { bareRestoredRun, restoredRun } from './restore.ts'

/** A way to run one program from nothing, for scenarios that do it many times. */
export interface OneShot {
  readonly role: Role
  readonly name: string
  /** How many may be asked for at once. */
  readonly most: number
  readonly run: () => Promise<unknown>
}

/** The product, its floor, and the alternatives that start fast enough to be asked a hundred times. */
export function oneShots(bench: Bench, scheduler: Scheduler, language: Language): readonly OneShot[] {
  return [
    {
      role: 'product',
      name: NAMES.product,
      most: Infinity,
      run: async () => await restoredRun(scheduler, language, bench.signal),
    },
    {
      role: 'floor',
      name: `${NAMES.floor}, with resume`,
      most: Infinity,
      run: async () => await bareRestoredRun(bench, language, 'with resume'),
    },
    ...bench.alternatives
      .filter((alternative) => alternative.language === language)
      .map((alternative) => ({
        role: 'alternative' as const,
        name: alternative.name,
        most: alternative.most ?? Infinity,
        run: async () => checkAnswer(await alternative.runOnce(ANSWER[language], bench.signal)),
      })),
  ]
}
