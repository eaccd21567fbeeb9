import { availableParallelism } from 'node:os'
import type { Command } from 'commander'
import { InvalidInputError, SandboxError, untilAborted } from '../base/index.ts'
import { LANGUAGE_NAMES, type OneShotResult } from '../sandbox/index.ts'
import type { RunOptions } from '../scheduler.ts'
import { DEFAULTS } from '../scheduler-options.ts'
import type { CliContext } from './context.ts'
import { parseDuration } from './duration.ts'
import { portLines } from './network-flags.ts'
import { OrderedOutput } from './ordered-output.ts'
import { notesOn } from './run-notes.ts'
import { failureRecordOf, recordOf, type RunRecord } from './run-record.ts'
import { type RunSource, readSources } from './run-sources.ts'
import { collect, type SandboxFlags, sandboxOptionsOf, schedulerOf, withSandboxFlags } from './sandbox-flags.ts'
import { exitCodeOf, explainError, printable, writeAll } from './terminal.ts'
import { resolveDownloads } from './transfers.ts'

interface RunFlags extends SandboxFlags {
  readonly code: readonly string[]
  readonly language?: string
  readonly timeout?: number
  readonly download: readonly string[]
  readonly json?: boolean
  readonly quiet?: boolean
}

/** Adds `run` to the program. */
export function registerRunCommand(program: Command, context: CliContext): void {
  const command = program
    .command('run')
    .summary('run code in a fresh VM and exit with its code')
    .description(
      "Runs each source in a fresh VM. Output streams unchanged; the exit code is the program's (the worst of several).",
    )
    .argument('[files...]', 'files to run; - reads a program from stdin')
    .option('-c, --code <code>', 'run this code (repeatable)', collect, [])
    .option('-l, --language <name>', `${LANGUAGE_NAMES.join(', ')} (else by extension or shebang, else python)`)
    .option('-t, --timeout <duration>', 'time limit, e.g. 30s, 500ms, 2m (default: 30s)', parseDuration)
  withSandboxFlags(command)
    .option(
      '--download <guest[:local]>',
      'copy a file or directory out of the VM at the end, by default into the current directory (repeatable)',
      collect,
      [],
    )
    .option(
      '--json',
      'print the result as JSON, one line per source, instead of the output ({"failure"} when its VM failed)',
    )
    .option('-q, --quiet', "say nothing but the program's own output")
    .action(async (files: string[], flags: RunFlags) => await runCommand(files, flags, context))
}

async function runCommand(files: readonly string[], flags: RunFlags, context: CliContext): Promise<void> {
  const reading = readSources({ codes: flags.code, files, language: flags.language }, context.stdin)
  const sources = await untilAborted(reading, context.signal, () => context.stdin.destroy())
  if (sources.length > 1 && flags.download.length > 0) {
    throw new InvalidInputError('--download: expected one source, because each of several would overwrite the files', {
      field: 'download',
    })
  }
  if (sources.length > 1 && flags.expose.some((port) => port.includes(':'))) {
    throw new InvalidInputError('--expose: expected no port of the host for several sources: they run at once', {
      field: 'expose',
    })
  }
  const options: RunOptions = {
    ...(await sandboxOptionsOf(flags, context)),
    ...(flags.timeout === undefined ? {} : { timeoutMs: flags.timeout }),
    downloads: await resolveDownloads(flags.download),
  }
  const scheduler = schedulerOf(flags)
  const output = new OrderedOutput(sources.length, context)
  const runOne = async (source: RunSource, index: number): Promise<void> => {
    // At once, also where the output of earlier sources is waited for: without it nobody can connect.
    const prefix = sources.length > 1 ? `${source.name}: ` : ''
    const onPorts: RunOptions['onPorts'] = async (ports) => {
      if (flags.quiet !== true) await writeAll(context.stderr, portLines(ports, prefix))
    }
    const teller = new Teller(flags, index, { context, output })
    try {
      const result = await scheduler.run(source.code, {
        ...options,
        language: source.language,
        onPorts,
        ...teller.callbacks,
      })
      await teller.result(result)
    } catch (error) {
      await teller.failure(error, prefix)
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

/** Says on the terminal what becomes of one source, where its output stands in the order. */
class Teller {
  readonly #flags: RunFlags
  readonly #index: number
  readonly #context: CliContext
  readonly #output: OrderedOutput

  constructor(flags: RunFlags, index: number, to: { readonly context: CliContext; readonly output: OrderedOutput }) {
    this.#flags = flags
    this.#index = index
    this.#context = to.context
    this.#output = to.output
  }

  get callbacks(): Pick<RunOptions, 'onStdout' | 'onStderr'> {
    if (this.#flags.json === true) return {}
    return {
      onStdout: async (_, bytes) => await this.#output.write(this.#index, 'stdout', bytes),
      onStderr: async (_, bytes) => await this.#output.write(this.#index, 'stderr', bytes),
    }
  }

  async result(result: OneShotResult): Promise<void> {
    const { json, quiet, debug, timeout = DEFAULTS.timeoutMs } = this.#flags
    if (json === true) await this.#print(recordOf(result))
    else if (quiet !== true) for (const note of notesOn(result, timeout)) await this.#say(note)
    if (debug === true && quiet !== true) await this.#say(timingLine(result))
    this.#context.exit(result.exitCode)
    for (const { path, copy, error } of result.downloads) {
      if (error !== undefined) {
        await this.#say(explainError(error))
        this.#context.exit(exitCodeOf(error))
      } else if (quiet !== true) {
        for (const left of copy?.skipped ?? []) await this.#say(`sbx: ${printable(`${path}: left out ${left}`)}\n`)
      }
    }
  }

  /** @param prefix which of several sources it is */
  async failure(error: unknown, prefix: string): Promise<void> {
    // An aborted run is the user's own doing; the first error of each source is told where its output would stand.
    if (!this.#context.signal.aborted) {
      if (this.#flags.json === true && error instanceof SandboxError) await this.#print(failureRecordOf(error))
      await this.#say(`${prefix}${explainError(error)}`)
    }
    this.#context.exit(exitCodeOf(error))
  }

  async #print(record: RunRecord): Promise<void> {
    await this.#output.write(this.#index, 'stdout', `${JSON.stringify(record)}\n`)
  }

  async #say(text: string): Promise<void> {
    await this.#output.write(this.#index, 'stderr', text)
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

function timingLine(result: OneShotResult): string {
  const phases = Object.entries(result.timing).map(([phase, ms]) => `${phase}=${Number(ms).toFixed(1)}`)
  return `[timing] source=${result.source} ${phases.join(' ')}\n`
}
