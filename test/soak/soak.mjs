// @ts-check
import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { withDeadline } from '../../dist/base/index.js'
import { percentile } from '../../dist/cli/bench/statistics.js'
import { timed } from '../../dist/cli/bench/turns.js'
import { resolvePaths } from '../../dist/host/index.js'
import { Scheduler } from '../../dist/index.js'
import { countHoldings, measureMemory, settled } from './holdings.mjs'
import { OPERATIONS, pick, randomOf, VICTIM_MB } from './operations.mjs'

/** @typedef {{ readonly executions: number, readonly heap: number, readonly rss: number, readonly latency: number, readonly counts: Readonly<Record<string, number>> }} Sample */
/** @typedef {{ executions: number, seconds: number, seed: number, operations: Record<string, number>, outcomes: Record<string, number>, failures: string[], samples: Sample[] }} SoakRecord */
/** @typedef {{ readonly seconds: number, readonly executions: number, readonly seed: number, readonly every: number, readonly leak: ((done: number) => void) | undefined, readonly home: string, readonly signal: AbortSignal, readonly say: (line: string) => void }} Plan */

/** Milliseconds that any one operation may take on a busy machine; the slowest fills a guest's memory. */
const OPERATION_LIMIT_MS = 180_000
/** As many at a time as this kind of machine has processors. */
const WIDTH = 2
/** After this many something is broken, and the rest of the hour would say it again and again. */
const MOST_FAILURES = 10
/** Of each sample. */
const PROBES = 9

/**
 * Rounds of operations with an idle point after each, until time or executions are up, something hangs or it is interrupted.
 * @param {Plan} plan
 * @returns {Promise<SoakRecord>}
 */
export async function soak(plan) {
  const places = { runtime: join(plan.home, 'run'), scratch: join(plan.home, 'tmp'), cache: '' }
  await Promise.all([mkdir(places.runtime, { recursive: true }), mkdir(places.scratch, { recursive: true })])
  process.env['TMPDIR'] = places.scratch
  places.cache = resolvePaths(process.env).cacheDir
  const scheduler = new Scheduler({ runtimeDir: places.runtime, warmPool: { bash: 1, python: 1 } })
  /** @type {SoakRecord} */
  const record = { executions: 0, seconds: 0, seed: plan.seed, operations: {}, outcomes: {}, failures: [], samples: [] }
  const startedAt = performance.now()
  const state = { scheduler, places, plan, record, random: randomOf(plan.seed), started: 0, hung: false }
  try {
    await warmUp(state)
    while (!isOver(state, startedAt)) {
      await takeRound(state)
      if (state.hung || plan.signal.aborted) break
      await takeSample(state)
      const { rss, heap, latency } = record.samples.at(-1) ?? { rss: 0, heap: 0, latency: 0 }
      const mb = (/** @type {number} */ bytes) => `${(bytes / 1e6).toFixed(1)} MB`
      const seconds = Math.round((performance.now() - startedAt) / 1_000)
      plan.say(
        `${seconds} s: ${record.executions} executions, ${record.failures.length} failures, heap ${mb(heap)}, rss ${mb(rss)}, latency ×${latency.toFixed(2)}`,
      )
    }
  } catch (error) {
    if (!plan.signal.aborted) record.failures.push(String(error))
  }
  await bounded(scheduler.close(), 'the end of the scheduler').catch((error) => record.failures.push(String(error)))
  record.seconds = (performance.now() - startedAt) / 1_000
  return record
}

/** Each kind once: modules are loaded, code is compiled and templates are saved. Counts as no execution. */
async function warmUp(/** @type {any} */ state) {
  const { scheduler, plan } = state
  await bounded(scheduler.ready(), 'the warm pools')
  for (const memoryMb of [VICTIM_MB, 128]) {
    for (const language of ['bash', 'python']) await bounded(scheduler.prepare({ language, memoryMb }), 'a template')
  }
  for (const operation of [...OPERATIONS, ...OPERATIONS]) await takeTurn(state, operation)
  state.record.executions = 0
  state.record.operations = {}
  state.record.outcomes = {}
  plan.say('warmed up')
}

function isOver(/** @type {any} */ { plan, record }, /** @type {number} */ startedAt) {
  return (
    plan.signal.aborted ||
    record.executions >= plan.executions ||
    performance.now() - startedAt > plan.seconds * 1_000 ||
    record.failures.length >= MOST_FAILURES
  )
}

async function takeRound(/** @type {any} */ state) {
  const { plan } = state
  const operations = Array.from({ length: plan.every }, () => pick(state.random()))
  const worker = async () => {
    for (let next = operations.shift(); next !== undefined; next = operations.shift()) {
      if (state.hung || plan.signal.aborted) return
      await takeTurn(state, next)
      plan.leak?.(state.record.executions)
    }
  }
  await Promise.all(Array.from({ length: WIDTH }, worker))
}

async function takeTurn(/** @type {any} */ state, /** @type {import('./operations.mjs').Operation} */ operation) {
  const { scheduler, places, plan, record } = state
  const { name } = operation
  const index = state.started
  state.started += 1
  const own = randomOf(plan.seed * 1_000_003 + index)
  const outcome = (/** @type {string} */ what) => {
    record.outcomes[what] = (record.outcomes[what] ?? 0) + 1
  }
  const random = (/** @type {number} */ below) => Math.floor(own() * below)
  try {
    const turn = { scheduler, scratch: places.scratch, index, random, signal: plan.signal, outcome }
    await bounded(operation.run(turn), `operation ${index}, ${name},`)
  } catch (error) {
    if (plan.signal.aborted) return
    if (error instanceof Hang) state.hung = true
    const failure = `operation ${index}, ${name}: ${String(error)}`
    record.failures.push(failure)
    plan.say(failure)
  }
  record.executions += 1
  record.operations[name] = (record.operations[name] ?? 0) + 1
}

async function takeSample(/** @type {any} */ { scheduler, places, plan, record }) {
  await bounded(scheduler.ready(), 'the warm pools')
  const base = record.samples[0]?.counts
  const counts = await settled(async () => await countHoldings(scheduler, places), base, plan.signal)
  const memory = await measureMemory()
  record.samples.push({ executions: record.executions, ...memory, latency: await measureLatency(scheduler), counts })
}

/** One restored run, as a multiple of processes of the host, taken in pairs so that both have the same machine. */
async function measureLatency(/** @type {Scheduler} */ scheduler) {
  /** @type {number[]} */
  const ratios = []
  const work = 'for ((i = 0; i < 40; i++)); do (:); done'
  for (let round = 0; round < PROBES; round += 1) {
    const run = scheduler.run('echo', { language: 'bash', memoryMb: VICTIM_MB })
    const ours = await timed(async () => await bounded(run, 'the probe'))
    ratios.push(ours / (await timed(async () => await promisify(execFile)('bash', ['-c', work]))))
  }
  return percentile(ratios, 50)
}

class Hang extends Error {}

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {string} what
 */
async function bounded(promise, what) {
  const seconds = OPERATION_LIMIT_MS / 1_000
  return await withDeadline(promise, {
    timeoutMs: OPERATION_LIMIT_MS,
    onTimeout: () => new Hang(`${what} did not end within ${seconds} s`),
  })
}
