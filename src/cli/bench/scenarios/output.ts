import type { Language } from '../../../sandbox/index.ts'
import { Owner } from '../owner.ts'
import { FLOOD, FLOOD_BYTES } from '../programs.ts'
import type { SeriesKey } from '../recorder.ts'
import type { Role } from '../report.ts'
import { type Bench, NAMES, type Scenario } from '../scenario.ts'
import { takeTurns, timed } from '../turns.ts'
import { ensureTemplate } from './restore.ts'

/** Runs before the clock runs, as in `next-run`. */
const WARM_UP_RUNS = 3

/** As much output as one run may have, to a callback; the time is that of the whole run. */
export const output: Scenario = {
  name: 'output',
  title: '1 MB of output to a callback',
  rounds: { full: 30, quick: 5 },
  languages: 'each',
  run: async (bench) => {
    for (const language of bench.languages) await measure(bench, language)
  },
}

async function measure(bench: Bench, language: Language): Promise<void> {
  await using owner = new Owner()
  const scheduler = owner.own(bench.scheduler())
  await ensureTemplate(scheduler, language, bench.signal)
  await bench.bare.prepare(language)
  const code = FLOOD[language]
  const sandbox = owner.own(await scheduler.create({ language, signal: bench.signal }))
  const vm = owner.own(await bench.bare.restore(language))
  await vm.resume()
  const runners: (readonly [SeriesKey, () => Promise<number>])[] = [
    [
      keyOf(language, 'product', NAMES.product),
      async () => {
        let bytes = 0
        const onStdout = (_: string, chunk: Uint8Array): void => {
          bytes += chunk.length
        }
        await sandbox.runCode(code, { onStdout, signal: bench.signal })
        return bytes
      },
    ],
    [
      keyOf(language, 'floor', NAMES.floor),
      async () => (await vm.run({ language, code, stdoutLimit: FLOOD_BYTES, output: 'count' })).bytes,
    ],
  ]
  for (const alternative of bench.alternatives) {
    if (alternative.language !== language || alternative.openSession === undefined) continue
    const session = owner.own(await alternative.openSession(bench.signal))
    const key = keyOf(language, 'alternative', alternative.name)
    runners.push([key, async () => (await session.run(code)).length])
  }
  for (const [, run] of runners) for (let round = 0; round < WARM_UP_RUNS; round += 1) await run()
  const contestants = runners.map(([key, run]) => ({
    key,
    measure: async () => {
      let bytes = 0
      const ms = await timed(async () => {
        bytes = await run()
      })
      if (bytes !== FLOOD_BYTES) throw new Error(`expected ${FLOOD_BYTES} bytes of output, got ${bytes}`)
      return { value: FLOOD_BYTES / 1e6 / (ms / 1000) }
    },
  }))
  await takeTurns(contestants, bench)
}

function keyOf(language: string, role: Role, name: string): SeriesKey {
  return { scenario: 'output', measure: 'throughput', language, role, name, unit: 'MB/s', better: 'higher' }
}
