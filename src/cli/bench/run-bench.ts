import { createLogger, type Logger, throwIfAborted } from '../../base/index.ts'
import { resolvePaths } from '../../host/index.ts'
import { openImage } from '../../image/index.ts'
import { decideAccelerator, planVm } from '../../qemu/index.ts'
import { Scheduler } from '../../scheduler.ts'
import { resolveSchedulerOptions } from '../../scheduler-options.ts'
import type { Alternative, Offer } from './alternative.ts'
import { describeEnvironment } from './environment.ts'
import { BareMachine } from './floor/bare-machine.ts'
import { findTemplate } from './floor/find-template.ts'
import { OrphanGuard } from './floor/orphan-guard.ts'
import type { BenchSelection } from './options.ts'
import { Recorder } from './recorder.ts'
import { type BenchReport, REPORT_FORMAT } from './report.ts'
import type { Bench } from './scenario.ts'

export interface RunBenchOptions {
  readonly env: NodeJS.ProcessEnv
  readonly selection: BenchSelection
  /** What a user might pick instead, and what of it is not here. */
  readonly offers: readonly Offer[]
  /** The product's version. */
  readonly product: string
  readonly signal: AbortSignal
  /** Says what is going on, a line at a time. */
  readonly say: (line: string) => void
}

/** Milliseconds after which no further scenario is begun: a full run takes a third of it on a machine that is free. */
const LIMIT_MS = 40 * 60_000

/**
 * Runs the chosen scenarios one after the other. What fails in one of them is told in the report, and the next one is run.
 * @throws DependencyError when no VM can run here · AbortedError. No process is left.
 */
export async function runBench(options: RunBenchOptions): Promise<BenchReport> {
  const { selection, signal, say } = options
  const startedAt = performance.now()
  const logger = createLogger('silent')
  const { image, paths, plan } = await explore(options, logger)
  const environment = describeEnvironment(image, plan, options.product)
  const recorder = new Recorder()
  for (const offer of options.offers) if ('unavailable' in offer) recorder.skip(offer.name, offer.unavailable)
  await using guard = new OrphanGuard()
  const bench: Omit<Bench, 'rounds' | 'languages'> = {
    quick: selection.quick,
    cores: Math.max(1, Math.floor(environment.cores)),
    recorder,
    signal,
    plan,
    bare: new BareMachine({
      plan,
      guard,
      signal,
      template: async (its, language) => await findTemplate(paths, its, language),
    }),
    alternatives: options.offers.flatMap((offer): Alternative[] => ('alternative' in offer ? [offer.alternative] : [])),
    scheduler: (more = {}) => new Scheduler({ logger, ...more }),
  }
  const rounds: Record<string, number> = {}
  for (const scenario of selection.scenarios) {
    throwIfAborted(signal)
    if (performance.now() - startedAt > LIMIT_MS) {
      recorder.skip(scenario.name, `the benchmark had run for ${LIMIT_MS / 60_000} minutes`)
      continue
    }
    say(`${scenario.name}: ${scenario.title}`)
    rounds[scenario.name] = selection.roundsOf(scenario)
    const beganAt = performance.now()
    const languages = scenario.languages === 'each' ? selection.languages : selection.languages.slice(0, 1)
    try {
      await scenario.run({ ...bench, languages, rounds: selection.roundsOf(scenario) })
    } catch (error) {
      throwIfAborted(signal)
      recorder.fail(scenario.name, error instanceof Error ? error.message : String(error))
    }
    say(`  ${((performance.now() - beganAt) / 1000).toFixed(0)} s`)
  }
  return {
    format: REPORT_FORMAT,
    environment,
    options: {
      scenarios: selection.scenarios.map(({ name }) => name),
      languages: [...selection.languages],
      rounds,
      quick: selection.quick,
    },
    durationMs: Math.round(performance.now() - startedAt),
    ...recorder.result(),
  }
}

/** The plan that a scheduler of this environment makes for its VMs. */
async function explore({ env, signal }: RunBenchOptions, logger: Logger) {
  const { accelerator, jail, memoryMb, cpus } = resolveSchedulerOptions({ logger }, env)
  const paths = resolvePaths(env)
  const image = await openImage({ paths, env })
  const verdict = await decideAccelerator({ requested: accelerator, image, paths, env, jail, logger, signal })
  return { image, paths, plan: planVm({ image, verdict, memoryMb, cpus, verbose: false }) }
}
