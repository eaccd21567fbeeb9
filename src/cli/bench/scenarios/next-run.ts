import type { Language } from '../../../sandbox/index.ts'
import { Owner } from '../owner.ts'
import { ANSWER, checkAnswer } from '../programs.ts'
import { durations } from '../recorder.ts'
import { type Bench, CALL_TO_RESULT, NAMES, type Scenario } from '../scenario.ts'
import { type Contestant, takeTurns, timed } from '../turns.ts'
import { ensureTemplate } from './restore.ts'

/** Runs before the clock runs: the first ones after a restore translate code, load modules and fill caches. */
const WARM_UP_RUNS = 5

/** A run in a session that has run before, beside one request on the bare channel. */
export const nextRun: Scenario = {
  name: 'next-run',
  title: 'Next run in a session',
  rounds: { full: 100, quick: 20 },
  languages: 'each',
  run: async (bench) => {
    for (const language of bench.languages) await measure(bench, language)
  },
}

async function measure(bench: Bench, language: Language): Promise<void> {
  await using scheduler = bench.scheduler()
  await ensureTemplate(scheduler, language, bench.signal)
  await bench.bare.prepare(language)
  const code = ANSWER[language]
  await using owner = new Owner()
  const sandbox = owner.own(await scheduler.create({ language, signal: bench.signal }))
  const vm = owner.own(await bench.bare.restore(language))
  await vm.resume()
  const runners: (readonly [Contestant['key'], () => Promise<string>])[] = [
    [
      durations('next-run', CALL_TO_RESULT, language, 'product', NAMES.product),
      async () => (await sandbox.runCode(code, { signal: bench.signal })).stdout,
    ],
    [
      durations('next-run', CALL_TO_RESULT, language, 'floor', 'channel round trip'),
      async () => (await vm.run({ language, code })).output,
    ],
  ]
  for (const alternative of bench.alternatives) {
    if (alternative.language !== language || alternative.openSession === undefined) continue
    const session = owner.own(await alternative.openSession(bench.signal))
    const key = durations('next-run', CALL_TO_RESULT, language, 'alternative', alternative.name)
    runners.push([key, async () => await session.run(code)])
  }
  for (const [, run] of runners) for (let round = 0; round < WARM_UP_RUNS; round += 1) checkAnswer(await run())
  const contestants = runners.map(([key, run]) => ({
    key,
    measure: async () => {
      let output = ''
      const value = await timed(async () => {
        output = await run()
      })
      checkAnswer(output)
      return { value }
    },
  }))
  await takeTurns(contestants, bench)
}
