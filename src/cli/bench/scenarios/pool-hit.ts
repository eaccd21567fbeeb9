import { setTimeout as delay } from 'node:timers/promises'
import { abortedError } from '../../../base/index.ts'
import type { Language } from '../../../sandbox/index.ts'
import type { Scheduler } from '../../../scheduler.ts'
import { ANSWER, checkAnswer } from '../programs.ts'
import { durations, type Sample } from '../recorder.ts'
import { type Bench, CALL_TO_RESULT, NAMES, type Scenario } from '../scenario.ts'
import { takeTurns } from '../turns.ts'

/** VMs kept ready. A hit is measured when the pool is full again, so that no refill competes with it. */
const POOL_SIZE = 2

/** Milliseconds that a VM stands idle before it is asked, the product's as the floor's: waking up is part of a hit. */
const IDLE_MS = 200

/** One-shot runs out of a pool, beside the round trip of one `run` to a VM that has run once. */
export const poolHit: Scenario = {
  name: 'pool',
  title: 'One-shot run, handed out of a pool',
  rounds: { full: 20, quick: 5 },
  languages: 'each',
  run: async (bench) => {
    for (const language of bench.languages) await measure(bench, language)
  },
}

async function measure(bench: Bench, language: Language): Promise<void> {
  await using scheduler = bench.scheduler({ warmPool: { [language]: POOL_SIZE } })
  await ensurePool(scheduler, language, bench.signal)
  await bench.bare.prepare(language)
  await takeTurns(
    [
      {
        key: durations('pool', CALL_TO_RESULT, language, 'product', NAMES.product),
        measure: async () => await pooledRun(scheduler, language, bench.signal),
      },
      ...(['with resume', 'without resume'] as const).map((resume) => ({
        key: durations(
          'pool',
          CALL_TO_RESULT,
          language,
          'floor',
          resume === 'with resume' ? 'channel round trip, with resume' : 'channel round trip',
        ),
        measure: async () => await bareRoundTrip(bench, language, resume),
      })),
    ],
    bench,
  )
}

// The first VMs of a configuration boot, and those in the pool may be among them: they serve a run each, like any other.
async function ensurePool(scheduler: Scheduler, language: Language, signal: AbortSignal): Promise<void> {
  await scheduler.ready({ signal })
  const { source } = await scheduler.run(ANSWER[language], { language, signal })
  if (source !== 'pool') throw new Error(`the pool is full, but the run came from: ${source}`)
}

async function pooledRun(scheduler: Scheduler, language: Language, signal: AbortSignal): Promise<Sample> {
  await scheduler.ready({ signal })
  await standIdle(signal)
  const result = await scheduler.run(ANSWER[language], { language, signal })
  checkAnswer(result.stdout)
  if (result.source !== 'pool') throw new Error(`the run did not come from the pool but from: ${result.source}`)
  const { totalMs, teardownMs = 0 } = result.timing
  return { value: totalMs - teardownMs, phases: { ...result.timing } }
}

async function bareRoundTrip(
  bench: Bench,
  language: Language,
  resume: 'with resume' | 'without resume',
): Promise<Sample> {
  await using vm = await bench.bare.restore(language)
  await vm.resume()
  checkAnswer((await vm.run({ language, code: ANSWER[language] })).output)
  await standIdle(bench.signal)
  const startedAt = performance.now()
  if (resume === 'with resume') await vm.resume()
  const { output } = await vm.run({ language, code: ANSWER[language] })
  const value = performance.now() - startedAt
  checkAnswer(output)
  return { value }
}

async function standIdle(signal: AbortSignal): Promise<void> {
  await delay(IDLE_MS, undefined, { signal }).catch(() => {
    throw abortedError(signal)
  })
}
