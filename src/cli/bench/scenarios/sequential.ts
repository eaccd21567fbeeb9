import type { Language } from '../../../sandbox/index.ts'
import { durations } from '../recorder.ts'
import { type Bench, CALL_TO_RESULT, type Scenario } from '../scenario.ts'
import { takeTurns, timed } from '../turns.ts'
import { type OneShot, oneShots } from './one-shot.ts'
import { ensureTemplate } from './restore.ts'

/** Runs that a contestant makes before it is the next one's turn. */
const BLOCK = 10

/** One-shot runs, one after the other, in blocks; with what they cost the process that asks for them (C14). */
export const sequential: Scenario = {
  name: 'sequential',
  title: '100 one-shot runs, one after the other',
  rounds: { full: 100, quick: 10 },
  languages: 'first',
  run: async (bench) => {
    for (const language of bench.languages) await measure(bench, language)
  },
}

async function measure(bench: Bench, language: Language): Promise<void> {
  await using scheduler = bench.scheduler()
  await ensureTemplate(scheduler, language, bench.signal)
  await bench.bare.prepare(language)
  const block = Math.min(BLOCK, bench.rounds)
  const contestants = oneShots(bench, scheduler, language)
    // Whoever may not be asked for a hundred takes minutes here, however many it would be asked for.
    .filter(({ most }) => most === Infinity)
    .map((oneShot) => ({
      key: durations('sequential', 'CPU of the calling process per 100 runs', language, oneShot.role, oneShot.name),
      measure: async () => {
        const before = process.cpuUsage()
        for (let run = 0; run < block; run += 1) await record(bench, language, oneShot)
        const { user, system } = process.cpuUsage(before)
        return { value: ((user + system) / 1000) * (100 / block) }
      },
    }))
  await takeTurns(contestants, { ...bench, rounds: Math.ceil(bench.rounds / block) })
}

// The whole call: the next run begins when this one's VM is gone.
async function record(bench: Bench, language: Language, { role, name, run }: OneShot): Promise<void> {
  const value = await timed(run)
  bench.recorder.add(durations('sequential', `${CALL_TO_RESULT}, VM gone`, language, role, name), { value })
}
