import { throwIfAborted } from '../../../base/index.ts'
import type { Bench, Scenario } from '../scenario.ts'
import { takeTurns } from '../turns.ts'
import { type OneShot, oneShots } from './one-shot.ts'
import { ensureTemplate } from './restore.ts'

/** Milliseconds of each window in which runs are counted. */
const WINDOW_MS = { full: 2_500, quick: 1_500 } as const

/** VMs per second that the machine keeps up, with one run per processor under way all the time. */
export const rate: Scenario = {
  name: 'rate',
  title: 'VMs per second, one run per processor at any time',
  rounds: { full: 2, quick: 1 },
  languages: 'each',
  run: async (bench) => {
    await using scheduler = bench.scheduler()
    for (const language of bench.languages) {
      await ensureTemplate(scheduler, language, bench.signal)
      await bench.bare.prepare(language)
      const contestants = oneShots(bench, scheduler, language).map((oneShot) => ({
        key: {
          scenario: 'rate',
          measure: 'runs per second',
          language,
          role: oneShot.role,
          name: oneShot.name,
          unit: '1/s' as const,
          better: 'higher' as const,
        },
        measure: async () => ({ value: await runsPerSecond(bench, oneShot) }),
      }))
      await takeTurns(contestants, bench)
    }
  },
}

async function runsPerSecond(bench: Bench, { run }: OneShot): Promise<number> {
  const startedAt = performance.now()
  const endsAt = startedAt + WINDOW_MS[bench.quick ? 'quick' : 'full']
  let count = 0
  let lastAt = startedAt
  const worker = async (): Promise<void> => {
    while (performance.now() < endsAt && !bench.signal.aborted) {
      await run()
      count += 1
      lastAt = performance.now()
    }
  }
  const outcomes = await Promise.allSettled(Array.from({ length: bench.cores }, worker))
  throwIfAborted(bench.signal)
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  // Runs that had begun within the window are counted, and so is the time they took.
  return (count / (lastAt - startedAt)) * 1000
}
