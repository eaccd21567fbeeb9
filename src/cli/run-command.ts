import { availableParallelism } from 'node:os'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { createLogger, SandboxError, untilAborted } from '../base/index.ts'
import { LANGUAGE_NAMES, OUTPUT_LIMITS, type RunResult } from '../sandbox/index.ts'
import { Scheduler } from '../scheduler.ts'
import { ACCELERATORS, type Accelerator, DEFAULTS } from '../scheduler-options.ts'
import type { CliContext } from './context.ts'
import { parseDuration } from './duration.ts'
import { OrderedOutput } from './ordered-output.ts'
import { environmentOf } from './run-environment.ts'
import { type RunSource, readSources } from './run-sources.ts'
import { exitCodeOf, explainError, printable } from './terminal.ts'

interface RunFlags {
  readonly code: readonly string[]
  readonly language?: string
  readonly timeout?: number
  readonly memory?: number
  readonly cpus?: number
  readonly env: readonly string[]
  readonly json?: boolean
  readonly quiet?: boolean
  readonly debug?: boolean
  readonly accelerator?: Accelerator
}

/** Adds `run` to the program. */
export function registerRunCommand(program: Command, context: CliContext): void {
  program
    .command('run')
    .summary('run code in a fresh VM and exit with its code')
    .description(
      "Runs each source in a fresh VM. Output streams unchanged; the exit code is the program's (the worst of several).",
    )
    .argument('[files...]', 'files to run; - reads a program from stdin')
    .option('-c, --code <code>', 'run this code (repeatable)', collect, [])
    .option('-l, --language <name>', `${LANGUAGE_NAMES.join(', ')} (else by extension or shebang, else python)`)
    .option('-t, --timeout <duration>', 'time limit, e.g. 30s, 500ms, 2m (default: 30s)', parseDuration)
    .option('-m, --memory <mib>', 'memory of the VM in MiB (default: 256)', parseInteger)
    .option('--cpus <count>', 'virtual CPUs (default: 1)', parseInteger)
    .option('-e, --env <K=V>', 'environment variable; K alone takes its value from here (repeatable)', collect, [])
    .option(
      '--json',
      'print the result as JSON, one line per source, instead of the output ({"failure"} when its VM failed)',
    )
    .option('-q, --quiet', "say nothing but the program's own output")
    .option('--debug', 'boot log and debug log on stderr')
    .addOption(new Option('--accelerator <name>', 'what the VM runs on').choices(ACCELERATORS))
    .action(async (files: string[], flags: RunFlags) => await runCommand(files, flags, context))
}

async function runCommand(files: readonly string[], flags: RunFlags, context: CliContext): Promise<void> {
  const reading = readSources({ codes: flags.code, files, language: flags.language }, context.stdin)
  const sources = await untilAborted(reading, context.signal, () => context.stdin.destroy())
  const env = environmentOf(flags.env, context.env)
  const scheduler = new Scheduler({
    ...(flags.accelerator === undefined ? {} : { accelerator: flags.accelerator }),
    ...(flags.debug === true ? { logger: createLogger('debug') } : {}),
  })
  const output = new OrderedOutput(sources.length, context)
  const runOne = async (source: RunSource, index: number): Promise<void> => {
    const say = async (text: string): Promise<void> => {
      if (flags.quiet !== true) await output.write(index, 'stderr', text)
    }
    try {
      const result = await scheduler.run(source.code, {
        language: source.language,
        env,
        signal: context.signal,
        ...(flags.timeout === undefined ? {} : { timeoutMs: flags.timeout }),
        ...(flags.memory === undefined ? {} : { memoryMb: flags.memory }),
        ...(flags.cpus === undefined ? {} : { cpus: flags.cpus }),
        ...(flags.debug === true
          ? { onBootLog: (line: string) => void context.stderr.write(`${printable(line)}\n`) }
          : {}),
        ...(flags.json === true
          ? {}
          : {
              onStdout: async (_: string, bytes: Uint8Array) => await output.write(index, 'stdout', bytes),
              onStderr: async (_: string, bytes: Uint8Array) => await output.write(index, 'stderr', bytes),
            }),
      })
      if (flags.json === true) await output.write(index, 'stdout', `${JSON.stringify(result)}\n`)
      else for (const note of notesOn(result, flags)) await say(note)
      if (flags.debug === true) await say(timingLine(result))
      context.exit(result.exitCode)
    } catch (error) {
      // An aborted run is the user's own doing; the first error of each source is told where its output would stand.
      if (!context.signal.aborted) {
        if (flags.json === true && error instanceof SandboxError) {
          const { code, message, retryable } = error
          await output.write(index, 'stdout', `${JSON.stringify({ failure: { code, message, retryable } })}\n`)
        }
        await output.write(index, 'stderr', `${sources.length > 1 ? `${source.name}: ` : ''}${explainError(error)}`)
      }
      context.exit(exitCodeOf(error))
    } finally {
      await output.finish(index)
    }
  }
  try {
    await inParallel(sources, Math.max(1, availableParallelism()), runOne)
  } finally {
    // The first use of a configuration waits here for its template; whoever interrupts does not.
    await scheduler.close({ signal: context.signal })
  }
}

/** Runs `work` over all items, at most `width` at a time, starting them in order. */
async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const entries = items.entries()
  const worker = async (): Promise<void> => {
    // The workers share one iterator: each takes the next item when it has time.
    for (const [index, item] of entries) await work(item, index)
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker))
}

function notesOn(result: RunResult, flags: RunFlags): readonly string[] {
  const notes: string[] = []
  if (result.stdoutTruncated) notes.push(`sbx: stdout was cut at ${OUTPUT_LIMITS.stdout} bytes\n`)
  if (result.stderrTruncated) notes.push(`sbx: stderr was cut at ${OUTPUT_LIMITS.stderr} bytes\n`)
  if (result.reason === 'timeout')
    notes.push(
      `sbx: the program ran into its time limit of ${(flags.timeout ?? DEFAULTS.timeoutMs) / 1000} s (-t sets it)\n`,
    )
  if (result.reason === 'memory') notes.push('sbx: the VM ran out of memory (-m gives it more)\n')
  return notes
}

function timingLine(result: RunResult): string {
  const phases = Object.entries(result.timing).map(([phase, ms]) => `${phase}=${Number(ms).toFixed(1)}`)
  return `[timing] source=${result.source} ${phases.join(' ')}\n`
}

function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value]
}

function parseInteger(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Expected a whole number.')
  return Number(text)
}
