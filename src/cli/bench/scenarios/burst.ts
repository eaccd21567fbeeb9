import { crowd } from '../crowd.ts'
import { durations } from '../recorder.ts'
import { type Bench, type Scenario } from '../scenario.ts'
import { takeTurns } from '../turns.ts'
import { oneShots } from './one-shot.ts'
import { ensureTemplate } from './restore.ts'

/** Many one-shot runs asked for at once. */
function burst(count: number, rounds: Scenario['rounds']): Scenario {
  const name = `burst-${count}`
  return {
    name,
    title: `${count} one-shot runs asked for at once`,
    rounds,
    languages: 'first',
    run: async (bench) => await measure(bench, name, count),
  }
}

export const burst20: Scenario = burst(20, { full: 3, quick: 1 })
export const burst100: Scenario = burst(100, { full: 1, quick: 0 })

async function measure(bench: Bench, scenario: string, count: number): Promise<void> {
  await using scheduler = bench.scheduler()
  for (const language of bench.languages) {
    await ensureTemplate(scheduler, language, bench.signal)
    await bench.bare.prepare(language)
    const contestants = oneShots(bench, scheduler, language)
      .filter(({ most }) => most >= count)
      .map(({ role, name, run }) => ({
        key: {
          scenario,
          measure: 'runs per second',
          language,
          role,
          name,
          unit: '1/s' as const,
          better: 'higher' as const,
        },
        measure: async () => {
          // The product admits as many as the host can bear; the others have nobody who does that, so they get the best
          // that could be decided for them: one per processor.
          const ends = await crowd(count, role === 'product' ? count : bench.cores, bench.signal, run)
          const key = durations(scenario, 'begin of the burst to result, VM gone', language, role, name)
          for (const value of ends) bench.recorder.add(key, { value })
          return { value: (count / Math.max(...ends)) * 1000 }
        },
      }))
    await takeTurns(contestants, bench)
  }
}
