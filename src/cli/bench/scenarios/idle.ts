import { setTimeout as delay } from 'node:timers/promises'
import { abortedError } from '../../../base/index.ts'
import type { Language } from '../../../sandbox/index.ts'
import { Owner } from '../owner.ts'
import { descendants, readCpuMs } from '../process-facts.ts'
import { ANSWER, checkAnswer } from '../programs.ts'
import type { SeriesKey } from '../recorder.ts'
import { type Bench, NAMES, type Scenario } from '../scenario.ts'
import { ensureTemplate } from './restore.ts'

/** Milliseconds of each window in which CPU time is counted. */
const WINDOW_MS = { full: 5_000, quick: 2_000 } as const

/** CPU time of VMs that have run one program and stand idle, and of the process that holds them (C05). */
export const idle: Scenario = {
  name: 'idle',
  title: 'CPU of an idle VM',
  rounds: { full: 3, quick: 1 },
  languages: 'each',
  run: async (bench) => {
    await using owner = new Owner()
    const watched: Watched[] = []
    for (const language of bench.languages) watched.push(...(await idleVms(bench, owner, language)))
    const windowMs = WINDOW_MS[bench.quick ? 'quick' : 'full']
    // A window that is not counted: what the last runs left to do is done in it.
    for (let round = -1; round < bench.rounds; round += 1) {
      const before = await Promise.all(watched.map(cpuOf))
      const own = process.cpuUsage()
      const startedAt = performance.now()
      await delay(windowMs, undefined, { signal: bench.signal }).catch(() => {
        throw abortedError(bench.signal)
      })
      const { user, system } = process.cpuUsage(own)
      const after = await Promise.all(watched.map(cpuOf))
      const elapsedMs = performance.now() - startedAt
      if (round < 0) continue
      for (const [index, { key }] of watched.entries()) {
        const ms = (after[index] ?? 0) - (before[index] ?? 0)
        bench.recorder.add(key, { value: (ms / elapsedMs) * 100 })
      }
      const key = keyOf('CPU of the process that holds them', 'all', 'product', `${NAMES.product} and bench`)
      bench.recorder.add(key, { value: ((user + system) / 1000 / elapsedMs) * 100 })
    }
  },
}

interface Watched {
  readonly key: SeriesKey
  readonly pids: readonly number[]
}

async function idleVms(bench: Bench, owner: Owner, language: Language): Promise<readonly Watched[]> {
  const scheduler = owner.own(bench.scheduler())
  // By another one: a scheduler that restores for the second time loads the template ahead, and that VM would be counted.
  await ensureTemplate(owner.own(bench.scheduler()), language, bench.signal)
  await bench.bare.prepare(language)
  const before = new Set((await descendants()).map(({ pid }) => pid))
  const sandbox = owner.own(await scheduler.create({ language, signal: bench.signal }))
  checkAnswer((await sandbox.runCode(ANSWER[language])).stdout)
  const own = (await descendants()).filter(({ pid }) => !before.has(pid))
  const vm = owner.own(await bench.bare.restore(language))
  await vm.resume()
  checkAnswer((await vm.run({ language, code: ANSWER[language] })).output)
  const measure = 'share of one processor'
  return [
    { key: keyOf(measure, language, 'product', NAMES.product), pids: own.map(({ pid }) => pid) },
    { key: keyOf(measure, language, 'floor', NAMES.floor), pids: [vm.pid] },
  ]
}

async function cpuOf({ pids }: Watched): Promise<number> {
  const times = await Promise.all(pids.map(readCpuMs))
  return times.reduce((sum, ms) => sum + ms, 0)
}

function keyOf(measure: string, language: string, role: SeriesKey['role'], name: string): SeriesKey {
  return { scenario: 'idle', measure, language, role, name, unit: '%', better: 'lower' }
}
