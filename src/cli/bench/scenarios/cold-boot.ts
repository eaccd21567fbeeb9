import { createLogger } from '../../../base/index.ts'
import { type Language, OUTPUT_LIMITS } from '../../../sandbox/index.ts'
import { launchVm, runCode, STREAMS, type Vm } from '../../../vm/index.ts'
import { ANSWER, checkAnswer } from '../programs.ts'
import { durations, type Sample } from '../recorder.ts'
import { type Bench, CALL_TO_RESULT, NAMES, type Scenario } from '../scenario.ts'
import { takeTurns } from '../turns.ts'

/** The first run of a configuration, before there is a template: kernel, agent and interpreter all start. */
export const coldBoot: Scenario = {
  name: 'cold-boot',
  title: 'One-shot run, booted',
  rounds: { full: 10, quick: 2 },
  languages: 'each',
  run: async (bench) => {
    for (const language of bench.languages) {
      await takeTurns(
        [
          {
            key: durations('cold-boot', CALL_TO_RESULT, language, 'product', NAMES.product),
            measure: async () => await bootedRun(bench, language),
          },
          {
            key: durations('cold-boot', CALL_TO_RESULT, language, 'floor', NAMES.floor),
            measure: async () => await bareBootedRun(bench, language),
          },
        ],
        bench,
      )
    }
  },
}

/** Milliseconds for the program once the guest is up; a scheduler's default. */
const RUN_TIMEOUT_MS = 30_000

// A scheduler boots a configuration once and restores it from then on. What it boots with is called here directly: the
// same plan, jail, supervisor and channel, without a template being saved beside the next measurement.
async function bootedRun(bench: Bench, language: Language): Promise<Sample> {
  const startedAt = performance.now()
  await using vm = await launchVm(bench.plan, {
    language,
    identity: { hostname: 'bench', env: {} },
    onBootLog: undefined,
    signal: bench.signal,
    logger: createLogger('silent'),
    onRetry: () => undefined,
  })
  const launchedAt = performance.now()
  const output = await runOn(vm, language)
  const value = performance.now() - startedAt
  checkAnswer(output)
  return { value, phases: { ...vm.timing, executeMs: startedAt + value - launchedAt } }
}

async function runOn(vm: Vm, language: Language): Promise<string> {
  const request = {
    language,
    context: 'default',
    code: ANSWER[language],
    env: {},
    timeoutMs: RUN_TIMEOUT_MS,
    stdoutLimit: OUTPUT_LIMITS.stdout,
    stderrLimit: OUTPUT_LIMITS.stderr,
  }
  const exchange = runCode(vm.channel, request, () => undefined)
  const [stdout] = await Promise.all([
    textOf(exchange.readable(STREAMS.stdout)),
    textOf(exchange.readable(STREAMS.stderr)),
    exchange.response,
  ])
  return stdout
}

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = []
  for await (const chunk of chunks) pieces.push(chunk.slice())
  return Buffer.concat(pieces).toString()
}

/** From spawning QEMU to the result. */
async function bareBootedRun(bench: Bench, language: Language): Promise<Sample> {
  const startedAt = performance.now()
  await using vm = bench.bare.boot()
  await vm.hello()
  const bootMs = performance.now() - startedAt
  await vm.resume()
  const { output } = await vm.run({ language, code: ANSWER[language] })
  const value = performance.now() - startedAt
  checkAnswer(output)
  return { value, phases: { bootMs, executeMs: value - bootMs } }
}
