import type { Language } from '../../../sandbox/index.ts'
import type { Scheduler } from '../../../scheduler.ts'
import { ANSWER, checkAnswer } from '../programs.ts'
import { durations, type Sample } from '../recorder.ts'
import type { Role } from '../report.ts'
import { type Bench, CALL_TO_RESULT, NAMES, type Scenario } from '../scenario.ts'
import { type Contestant, takeTurns, timed } from '../turns.ts'

/** The measure of the product's whole call, which gives its result when the VM is known to be dead. */
const WHOLE_CALL = 'call to return'

/** One-shot runs from the template on disk, beside the same restore by hand and what else could have run the program. */
export const restore: Scenario = {
  name: 'restore',
  title: 'One-shot run, restored from the template on disk',
  rounds: { full: 20, quick: 5 },
  languages: 'each',
  run: async (bench) => {
    await using scheduler = bench.scheduler()
    for (const language of bench.languages) {
      await ensureTemplate(scheduler, language, bench.signal)
      await bench.bare.prepare(language)
      const contestants = [
        product(bench, scheduler, language),
        bare(bench, language, 'with resume'),
        bare(bench, language, 'without resume'),
        ...others(bench, language),
      ]
      await takeTurns(contestants, bench)
    }
  },
}

/**
 * Runs until a run was restored: the first one of a configuration boots, and its template is saved meanwhile.
 * @throws when no template can be saved here
 */
export async function ensureTemplate(scheduler: Scheduler, language: Language, signal: AbortSignal): Promise<void> {
  const sources: string[] = []
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const { source } = await scheduler.run(ANSWER[language], { language, signal })
    if (source === 'disk-snapshot') return
    sources.push(source)
  }
  throw new Error(`no run was restored from a template; they came from: ${sources.join(', ')}`)
}

/** One restored run of the product; anything but a restore is no sample. */
export async function restoredRun(scheduler: Scheduler, language: Language, signal: AbortSignal): Promise<Sample> {
  const result = await scheduler.run(ANSWER[language], { language, signal })
  checkAnswer(result.stdout)
  if (result.source !== 'disk-snapshot') throw new Error(`the run was not restored but came from: ${result.source}`)
  const { totalMs, teardownMs = 0 } = result.timing
  return { value: totalMs - teardownMs, phases: { ...result.timing } }
}

/** From spawning QEMU to the result. */
export async function bareRestoredRun(
  bench: Bench,
  language: Language,
  resume: 'with resume' | 'without resume',
): Promise<Sample> {
  const startedAt = performance.now()
  await using vm = await bench.bare.restore(language)
  const restoreMs = performance.now() - startedAt
  const connectMs = resume === 'with resume' ? await timed(async () => await vm.resume()) : undefined
  const { output } = await vm.run({ language, code: ANSWER[language] })
  const value = performance.now() - startedAt
  checkAnswer(output)
  const executeMs = value - restoreMs - (connectMs ?? 0)
  return { value, phases: { restoreMs, ...(connectMs === undefined ? {} : { connectMs }), executeMs } }
}

function product(bench: Bench, scheduler: Scheduler, language: Language): Contestant {
  const whole = durations('restore', WHOLE_CALL, language, 'product', NAMES.product)
  return {
    key: durations('restore', CALL_TO_RESULT, language, 'product', NAMES.product),
    measure: async () => {
      const sample = await restoredRun(scheduler, language, bench.signal)
      bench.recorder.add(whole, { value: sample.phases?.['totalMs'] ?? sample.value })
      return sample
    },
  }
}

function bare(bench: Bench, language: Language, resume: 'with resume' | 'without resume'): Contestant {
  const name = resume === 'with resume' ? NAMES.floorWithResume : NAMES.floorWithoutResume
  return {
    key: durations('restore', CALL_TO_RESULT, language, 'floor', name),
    measure: async () => await bareRestoredRun(bench, language, resume),
  }
}

function others(bench: Bench, language: Language): readonly Contestant[] {
  const role: Role = 'alternative'
  return bench.alternatives
    .filter((alternative) => alternative.language === language)
    .map((alternative) => ({
      key: durations('restore', CALL_TO_RESULT, language, role, alternative.name),
      measure: async () => {
        const startedAt = performance.now()
        const output = await alternative.runOnce(ANSWER[language], bench.signal)
        const value = performance.now() - startedAt
        checkAnswer(output)
        return { value }
      },
    }))
}
