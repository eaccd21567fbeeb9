import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Language, Sandbox } from '../../../sandbox/index.ts'
import type { BareVm } from '../floor/bare-vm.ts'
import { Owner } from '../owner.ts'
import { durations, type SeriesKey } from '../recorder.ts'
import type { Role } from '../report.ts'
import { type Bench, NAMES, type Scenario } from '../scenario.ts'
import { type Contestant, takeTurns, timed } from '../turns.ts'
import { ensureTemplate } from './restore.ts'

const MB = 1_000_000
const SIZES = { full: [1, 10, 100], quick: [1, 10] } as const

/** Rounds of 100 MB: each takes seconds. */
const LARGE_ROUNDS = 5

/** MiB of a guest that holds 100 MB in its file system, and 100 MB more while they are replaced. */
const MEMORY_MB = 512

/** Small files, written and read one after the other. */
const SMALL = { count: 100, bytes: 1_000 } as const

/** A tree, written and fetched in one call. */
const TREE = { directories: 20, filesOfEach: 50, bytes: 1_000 } as const

/** The floor: a program that only takes or makes bytes, behind the same agent and port. */
const FLOOR_NAME = `${NAMES.floor}, exec of dd`

/** What files cost beside the channel that carries them (C06). The language decides nothing but the template. */
export const files: Scenario = {
  name: 'files',
  title: 'Files up and down',
  rounds: { full: 15, quick: 5 },
  languages: 'first',
  run: async (bench) => {
    for (const language of bench.languages) await measure(bench, language)
  },
}

interface Place {
  readonly bench: Bench
  readonly language: Language
  readonly sandbox: Sandbox
  readonly vm: BareVm
}

async function measure(bench: Bench, language: Language): Promise<void> {
  await using owner = new Owner()
  const memoryMb = MEMORY_MB
  const scheduler = owner.own(bench.scheduler({ memoryMb }))
  await ensureTemplate(scheduler, language, bench.signal)
  const bare = bench.bare.withMemory(memoryMb)
  await bare.prepare(language)
  const sandbox = owner.own(await scheduler.create({ language, signal: bench.signal }))
  const vm = owner.own(await bare.restore(language))
  await vm.resume()
  const place = { bench, language, sandbox, vm }
  for (const size of SIZES[bench.quick ? 'quick' : 'full']) {
    await measureContent(place, size, 'random', randomBytes(size * MB))
    await measureContent(place, size, 'zeros', Buffer.alloc(size * MB))
  }
  await measureSmallFiles(place)
  await measureTree(place)
}

async function measureContent(place: Place, size: number, kind: string, content: Buffer): Promise<void> {
  const { bench, language, sandbox, vm } = place
  const { signal } = bench
  const path = 'content'
  const took = async (work: () => Promise<number>): Promise<{ value: number }> => {
    let bytes = 0
    const ms = await timed(async () => {
      bytes = await work()
    })
    if (bytes !== content.length) throw new Error(`expected ${content.length} bytes to be moved, got ${bytes}`)
    return { value: size / (ms / 1000) }
  }
  const key = (direction: string, role: Role, name: string): SeriesKey => ({
    ...durations('files', `${size} MB ${kind} ${direction}`, language, role, name),
    unit: 'MB/s',
    better: 'higher',
  })
  const up = async () => (await sandbox.files.write(path, content, { signal })).size
  const down = async () => (await sandbox.files.read(path, { format: 'bytes', signal })).length
  const drop = async () => {
    await vm.exec(['dd', 'of=/dev/null', 'bs=256k', 'status=none'], content)
    return content.length
  }
  const make = async () => (await vm.exec(['dd', 'if=/dev/zero', 'bs=1000000', `count=${size}`, 'status=none'])).bytes
  const rounds = size >= 100 ? Math.min(bench.rounds, LARGE_ROUNDS) : bench.rounds
  const contestant = (series: SeriesKey, work: () => Promise<number>): Contestant => ({
    key: series,
    measure: async () => await took(work),
  })
  // The way down reads what the way up has written.
  await Promise.all([up(), drop()])
  await takeTurns(
    [contestant(key('up', 'product', NAMES.product), up), contestant(key('up', 'floor', FLOOR_NAME), drop)],
    { ...bench, rounds },
  )
  await takeTurns(
    [contestant(key('down', 'product', NAMES.product), down), contestant(key('down', 'floor', FLOOR_NAME), make)],
    { ...bench, rounds },
  )
  await sandbox.files.remove(path)
}

async function measureSmallFiles({ bench, language, sandbox }: Place): Promise<void> {
  const content = randomBytes(SMALL.bytes)
  const { signal } = bench
  const all = `${SMALL.count} files of 1 KB, each`
  const [writes, reads] = ['written', 'read'].map((what) =>
    durations('files', `${all} ${what}`, language, 'product', NAMES.product),
  )
  if (writes === undefined || reads === undefined) return
  for (let index = 0; index < SMALL.count; index += 1) {
    const value = await timed(async () => await sandbox.files.write(`small/${index}`, content, { signal }))
    bench.recorder.add(writes, { value })
  }
  for (let index = 0; index < SMALL.count; index += 1) {
    const value = await timed(async () => await sandbox.files.read(`small/${index}`, { format: 'bytes', signal }))
    bench.recorder.add(reads, { value })
  }
  await sandbox.files.remove('small', { recursive: true })
}

async function measureTree({ bench, language, sandbox }: Place): Promise<void> {
  const { signal } = bench
  const here = await mkdtemp(join(tmpdir(), 'exec-sandbox-bench-'))
  try {
    const tree = join(here, 'tree')
    for (let directory = 0; directory < TREE.directories; directory += 1) {
      const place = join(tree, `${directory}`)
      await mkdir(place, { recursive: true })
      for (let file = 0; file < TREE.filesOfEach; file += 1)
        await writeFile(join(place, `${file}`), randomBytes(TREE.bytes))
    }
    const what = `tree of ${TREE.directories * TREE.filesOfEach} files`
    const key = (way: string): SeriesKey => durations('files', `${what} ${way}`, language, 'product', NAMES.product)
    for (let round = 0; round < Math.min(bench.rounds, LARGE_ROUNDS); round += 1) {
      const up = await timed(async () => await sandbox.files.write('tree', { hostPath: tree }, { signal }))
      bench.recorder.add(key('up'), { value: up })
      const down = await timed(
        async () => await sandbox.files.download('tree', join(here, `back-${round}`), { signal }),
      )
      bench.recorder.add(key('down'), { value: down })
      await sandbox.files.remove('tree', { recursive: true })
    }
  } finally {
    await rm(here, { recursive: true, force: true })
  }
}
