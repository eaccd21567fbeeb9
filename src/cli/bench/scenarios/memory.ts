import { open } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { abortedError } from '../../../base/index.ts'
import type { Language } from '../../../sandbox/index.ts'
import { crowd } from '../crowd.ts'
import type { AlternativeSession } from '../alternative.ts'
import { Owner } from '../owner.ts'
import {
  type ChildProcessFact,
  descendants,
  isQemu,
  type ProcessMemory,
  readCpuMs,
  readMemory,
} from '../process-facts.ts'
import { ANSWER, checkAnswer } from '../programs.ts'
import type { Role } from '../report.ts'
import { type Bench, NAMES, type Scenario } from '../scenario.ts'
import { ensureTemplate } from './restore.ts'

/** VMs alive at once. */
const COUNTS = { full: [1, 10, 50], quick: [5] } as const

/** Languages after the first are measured with fewer: a page that is shared is shared in every language. */
const MOST_OF_OTHERS = 10

/** Milliseconds that VMs stand idle before they are measured, and other things, which do nothing then. */
const SETTLE_MS = { vm: 3_000, other: 500 } as const

/** Memory of restored VMs that have run one program and stand idle, with 1, 10 and 50 of them alive (C04). */
export const memory: Scenario = {
  name: 'memory',
  title: 'Memory per idle VM',
  rounds: { full: 1, quick: 1 },
  languages: 'each',
  run: async (bench) => {
    for (const [index, language] of bench.languages.entries()) {
      const counts = COUNTS[bench.quick ? 'quick' : 'full'].filter((count) => index === 0 || count <= MOST_OF_OTHERS)
      for (const count of counts) {
        await measureProduct(bench, language, count)
        await measureFloor(bench, language, count)
        await measureAlternatives(bench, language, count)
      }
    }
  },
}

async function measureProduct(bench: Bench, language: Language, count: number): Promise<void> {
  await using scheduler = bench.scheduler()
  await ensureTemplate(scheduler, language, bench.signal)
  await writeBack(bench, language)
  const before = new Set((await descendants()).map(({ pid }) => pid))
  await crowd(count, bench.cores, bench.signal, async () => {
    const sandbox = await scheduler.create({ language, signal: bench.signal })
    checkAnswer((await sandbox.runCode(ANSWER[language])).stdout)
  })
  await settle('vm', bench.signal)
  const own = (await descendants()).filter(({ pid }) => !before.has(pid))
  const whose = { language, count, role: 'product', name: NAMES.product } as const
  const memoryOf = async (facts: readonly ChildProcessFact[]): Promise<readonly ProcessMemory[]> =>
    await Promise.all(facts.map(async ({ pid }) => await readMemory(pid)))
  const qemus = await mostWorkedFirst(own.filter(isQemu))
  record(bench, whose, await memoryOf(qemus.slice(0, count)))
  for (const spare of await memoryOf(qemus.slice(count))) add(bench, whose, 'loaded ahead, anonymous', spare.anonymous)
  const jails = await memoryOf(own.filter((fact) => !isQemu(fact)))
  const perVm = jails.reduce((sum, { anonymous }) => sum + anonymous, 0) / qemus.length
  add(bench, whose, 'its jail, anonymous', perVm)
}

// What is loaded ahead for the next launch has run nothing: of all, it has used the least time.
async function mostWorkedFirst(facts: readonly ChildProcessFact[]): Promise<readonly ChildProcessFact[]> {
  const times = await Promise.all(facts.map(async (fact) => ({ fact, cpuMs: await readCpuMs(fact.pid) })))
  return times.toSorted((a, b) => b.cpuMs - a.cpuMs).map(({ fact }) => fact)
}

async function measureFloor(bench: Bench, language: Language, count: number): Promise<void> {
  await using owner = new Owner()
  await bench.bare.prepare(language)
  const pids: number[] = []
  await crowd(count, bench.cores, bench.signal, async () => {
    const vm = owner.own(await bench.bare.restore(language))
    await vm.resume()
    checkAnswer((await vm.run({ language, code: ANSWER[language] })).output)
    pids.push(vm.pid)
  })
  await settle('vm', bench.signal)
  const vms = await Promise.all(pids.map(async (pid) => await readMemory(pid)))
  record(bench, { language, count, role: 'floor', name: NAMES.floor }, vms)
}

async function measureAlternatives(bench: Bench, language: Language, count: number): Promise<void> {
  for (const alternative of bench.alternatives) {
    const { openSession, most = Infinity, name } = alternative
    if (alternative.language !== language || openSession === undefined || count > most) continue
    await using owner = new Owner()
    const sessions: AlternativeSession[] = []
    await crowd(count, bench.cores, bench.signal, async () => {
      const session = owner.own(await openSession(bench.signal))
      sessions.push(session)
      checkAnswer(await session.run(ANSWER[language]))
    })
    await settle('other', bench.signal)
    for (const session of sessions) {
      add(bench, { language, count, role: 'alternative', name }, PRIVATE, await session.privateBytes())
    }
  }
}

/** The measure that counts: pages that nobody else can use. */
const PRIVATE = 'anonymous'

interface Whose {
  readonly language: Language
  readonly count: number
  readonly role: Role
  readonly name: string
}

function record(bench: Bench, whose: Whose, vms: readonly ProcessMemory[]): void {
  if (vms.length !== whose.count) throw new Error(`expected ${whose.count} QEMU processes, found ${vms.length}`)
  for (const vm of vms) {
    add(bench, whose, PRIVATE, vm.anonymous)
    add(bench, whose, 'private dirty', vm.privateDirty)
    add(bench, whose, 'shared, or clean pages of files', vm.shared + vm.privateClean)
    add(bench, whose, 'proportional (PSS)', vm.proportional)
  }
}

function add(bench: Bench, { language, count, role, name }: Whose, what: string, bytes: number): void {
  const measure = `${what}, ${count} alive`
  bench.recorder.add(
    { scenario: 'memory', measure, language, role, name, unit: 'MB', better: 'lower' },
    { value: bytes / 1e6 },
  )
}

/** A page of the RAM file that is dirty in the page cache would be counted as dirty in whoever maps it. */
async function writeBack(bench: Bench, language: Language): Promise<void> {
  const { ram } = await bench.bare.prepare(language)
  const file = await open(ram, 'r')
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
}

async function settle(what: keyof typeof SETTLE_MS, signal: AbortSignal): Promise<void> {
  await delay(SETTLE_MS[what], undefined, { signal }).catch(() => {
    throw abortedError(signal)
  })
}
