import type { Command } from 'commander'
import { writeFileAtomic } from '../host/index.ts'
import type { Offer } from './bench/alternative.ts'
import { type BenchFlags, selectBench } from './bench/options.ts'
import { renderPlot } from './bench/plot.ts'
import { renderReport } from './bench/report.ts'
import { runBench } from './bench/run-bench.ts'
import { SCENARIOS } from './bench/scenarios.ts'
import { renderTable } from './bench/table.ts'
import type { CliContext } from './context.ts'
import { packageVersion } from './package-version.ts'
import { writeAll } from './terminal.ts'

/** Exit code when a scenario failed: the numbers are not all there. */
const FAILURE = 125

/** The context without which a benchmark cannot run. */
export type BenchContext = Pick<CliContext, 'env' | 'stdout' | 'stderr' | 'signal' | 'exit'>

export interface BenchCommandFlags extends BenchFlags {
  /** Where the report and the plot are written. */
  readonly json?: string
  readonly svg?: string
}

/** Adds `bench` to the program. */
export function registerBenchCommand(program: Command, context: CliContext): void {
  addBenchOptions(program.command('bench'))
    .summary('measure this machine, each number beside its floor')
    .description(
      'Measures cold boot, restore, pool, sessions, bursts, memory and output on this machine, each beside its floor: the same QEMU, image and arguments started by hand.',
    )
    .action(async (flags: BenchCommandFlags) => await benchCommand(flags, [], context))
}

/** The options of the benchmark, for every command that runs it. */
export function addBenchOptions(command: Command): Command {
  return command
    .option('-s, --scenario <names>', `some of ${SCENARIOS.map(({ name }) => name).join(', ')} (default: all)`)
    .option('-l, --language <names>', 'some of python, javascript, bash (default: all; with --quick python)')
    .option('-r, --rounds <count>', 'measurements per scenario')
    .option('--quick', 'few rounds, one language: two minutes instead of twelve')
    .option('--json <file>', 'write the report with all series')
    .option('--svg <file>', 'write a plot')
}

/**
 * Runs the benchmark, shows the table and writes what was asked for.
 * @param offers what is measured beside the product
 */
export async function benchCommand(
  flags: BenchCommandFlags,
  offers: readonly Offer[],
  context: BenchContext,
): Promise<void> {
  const selection = selectBench(flags, SCENARIOS)
  const report = await runBench({
    env: context.env,
    selection,
    offers,
    product: packageVersion(),
    signal: context.signal,
    say: (line) => void context.stderr.write(`${line}\n`),
  })
  await writeAll(context.stdout, renderTable(report))
  if (flags.json !== undefined) await writeFileAtomic(flags.json, renderReport(report))
  const plot = renderPlot(report)
  if (flags.svg !== undefined && plot !== undefined) await writeFileAtomic(flags.svg, plot)
  if (report.failed.length > 0) context.exit(FAILURE)
}
