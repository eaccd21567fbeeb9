import { setTimeout as delay } from 'node:timers/promises'
import { throwIfAborted } from '../../../base/index.ts'
import type { Language, Source } from '../../../sandbox/index.ts'
import type { Scheduler } from '../../../scheduler.ts'
import { ANSWER, checkAnswer } from '../programs.ts'
import { durations, type Sample } from '../recorder.ts'
import { type Bench, CALL_TO_RESULT, NAMES, type Scenario } from '../scenario.ts'
import { type Contestant, takeTurns, timed } from '../turns.ts'

/** The measure of the product's whole call, which gives its result when the VM is known to be dead. */
const WHOLE_CALL = 'call to return'

/** One-shot runs from the template, beside the same restore by hand and what else could have run the program. */
export const restore: Scenario = {
  name: 'restore',
  title: 'One-shot run, restored from the template',
  rounds: { full: 20, quick: 5 },
  languages: 'each',
  run: async (bench) => {
    for (const language of bench.languages) {
      // One for each language: what it has loaded ahead is then of this one.
      await using steady = bench.scheduler()
      await ensureTemplate(steady, language, bench.signal)
      await bench.bare.prepare(language)
      const contestants = [
        fromDisk(bench, language),
        loadedAhead(bench, steady, language),
        ...BARE_WAYS.map((way) => bare(bench, language, way)),
        ...others(bench, language),
      ]
      await takeTurns(contestants, bench)
    }
  },
}

/** How a bare VM is resumed. `loaded ahead`: with resume, and QEMU has been started and the state loaded before the clock runs. */
export type BareWay = 'with resume' | 'without resume' | 'loaded ahead'
const BARE_WAYS: readonly BareWay[] = ['with resume', 'without resume', 'loaded ahead']

/**
 * Sees to it that there is a template and that runs are restored from it, before any clock runs.
 * @throws when there can be none
 */
export async function ensureTemplate(scheduler: Scheduler, language: Language, signal: AbortSignal): Promise<void> {
  if (!(await scheduler.prepare({ language, signal }))) throw new Error('no template can be saved here')
  await restoredRun(scheduler, language, signal)
}

/** One run of the product from a template; anything else is no sample. */
export async function restoredRun(
  scheduler: Scheduler,
  language: Language,
  signal: AbortSignal,
  sources: readonly Source[] = ['disk-snapshot', 'memory-snapshot'],
): Promise<Sample> {
  const result = await scheduler.run(ANSWER[language], { language, signal })
  checkAnswer(result.stdout)
  if (!sources.includes(result.source)) {
    throw new Error(`expected a run from ${sources.join(' or ')}, got one from ${result.source}`)
  }
  const { totalMs, teardownMs = 0 } = result.timing
  return { value: totalMs - teardownMs, phases: { ...result.timing } }
}

/** From spawning QEMU, or from letting the guest go on, to the result. */
export async function bareRestoredRun(bench: Bench, language: Language, way: BareWay): Promise<Sample> {
  const calledAt = performance.now()
  await using vm = await bench.bare.load(language)
  const startedAt = way === 'loaded ahead' ? performance.now() : calledAt
  vm.goOn()
  const restoreMs = performance.now() - startedAt
  const connectMs = way === 'without resume' ? undefined : await timed(async () => await vm.resume())
  const { output } = await vm.run({ language, code: ANSWER[language] })
  const value = performance.now() - startedAt
  checkAnswer(output)
  const executeMs = value - restoreMs - (connectMs ?? 0)
  return { value, phases: { restoreMs, ...(connectMs === undefined ? {} : { connectMs }), executeMs } }
}

// A scheduler that has restored twice has the next VM loaded ahead; a new one restores from the disk.
function fromDisk(bench: Bench, language: Language): Contestant {
  const whole = durations('restore', WHOLE_CALL, language, 'product', NAMES.product)
  return {
    key: durations('restore', CALL_TO_RESULT, language, 'product', NAMES.product),
    measure: async () => {
      await using scheduler = bench.scheduler()
      await scheduler.ready({ signal: bench.signal })
      const sample = await restoredRun(scheduler, language, bench.signal, ['disk-snapshot'])
      bench.recorder.add(whole, { value: sample.phases?.['totalMs'] ?? sample.value })
      return sample
    },
  }
}

function loadedAhead(bench: Bench, steady: Scheduler, language: Language): Contestant {
  return {
    key: durations('restore', CALL_TO_RESULT, language, 'product', `${NAMES.product}, loaded ahead`),
    measure: async () => {
      await untilLoadedAhead(steady, language, bench.signal)
      return await restoredRun(steady, language, bench.signal, ['memory-snapshot'])
    },
  }
}

/** Milliseconds between looks: nobody announces that a template has been loaded ahead. */
const LOOK_MS = 10

/** Looks until another run is tried: a scheduler loads ahead from the second run on, and drops what is not used for long. */
const LOOKS_PER_RUN = 100

/** Runs after which it is clear that none will be loaded ahead. */
const MOST_RUNS = 4

async function untilLoadedAhead(steady: Scheduler, language: Language, signal: AbortSignal): Promise<void> {
  const isLoaded = (): boolean => (steady.stats().templates?.spares ?? 0) > 0
  for (let run = 0; run <= MOST_RUNS; run += 1) {
    if (run > 0) await restoredRun(steady, language, signal)
    for (let look = 0; look < (run === 0 ? 1 : LOOKS_PER_RUN); look += 1) {
      if (isLoaded()) return
      throwIfAborted(signal)
      await delay(LOOK_MS)
    }
  }
  throw new Error('no template was loaded ahead')
}

function bare(bench: Bench, language: Language, way: BareWay): Contestant {
  return {
    key: durations('restore', CALL_TO_RESULT, language, 'floor', `${NAMES.floor}, ${way}`),
    measure: async () => await bareRestoredRun(bench, language, way),
  }
}

/** Rounds of alternatives whose start takes seconds. */
const SLOW_ROUNDS = 5

function others(bench: Bench, language: Language): readonly Contestant[] {
  return bench.alternatives
    .filter((alternative) => alternative.language === language)
    .map((alternative) => ({
      ...(alternative.most === undefined ? {} : { rounds: Math.min(bench.rounds, SLOW_ROUNDS) }),
      key: durations('restore', CALL_TO_RESULT, language, 'alternative', alternative.name),
      measure: async () => {
        const startedAt = performance.now()
        const output = await alternative.runOnce(ANSWER[language], bench.signal)
        const value = performance.now() - startedAt
        checkAnswer(output)
        return { value }
      },
    }))
}
