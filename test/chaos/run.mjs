// @ts-check
// `npm run chaos [-- fault | phase | fault:phase …]`: brings each phase of a host process about, does the fault, and looks what became of it and what
// is left. Prints the matrix; ends with 1 when a cell is not clean.
import { execFileSync, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { resolvePaths } from '../../dist/host/index.js'
import { openImage } from '../../dist/image/index.js'
import { below, commandLine, identityOf, leftOvers } from './audit.mjs'
import { chooseCells, FAULTS, PHASES } from './cells.mjs'
import { makeHostileImage, needsTemplate } from './hostile-image.mjs'

/** Milliseconds for everything of one cell: a boot that hangs has 45 s, and is tried four times (G05). */
const CELL_LIMIT_MS = 210_000
const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url))

/** @typedef {Awaited<ReturnType<typeof startHost>>} Host */

/** @param {{ phase: string, cache: string, runtime: string, scratch: string, env?: Record<string, string>, before?: readonly string[] }} how */
async function startHost({ phase, cache, runtime, scratch, env = {}, before = [] }) {
  const [file, ...argv] = [...before, process.execPath, CHILD, phase, cache, runtime]
  const child = spawn(file ?? process.execPath, argv, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, EXEC_SANDBOX_IMAGE_DIR: imageDirectory, TMPDIR: scratch, EXEC_SANDBOX_LOG_LEVEL: 'error', ...env },
  })
  /** @type {any[]} */
  const told = []
  /** @type {(() => void)[]} */
  const waiters = []
  const wake = () => waiters.splice(0).forEach((waiter) => waiter())
  createInterface({ input: child.stdout }).on('line', (line) => {
    told.push(JSON.parse(line))
    wake()
  })
  let stderr = ''
  child.stderr.on('data', (text) => {
    stderr = (stderr + text).slice(-4_000)
  })
  child.stdin.on('error', () => undefined)
  /** @type {Promise<{ code: number | null, signal: string | null }>} */
  const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })))
  void ended.then(wake)
  const next = async () => await Promise.race([new Promise((resolve) => waiters.push(() => resolve(undefined))), ended])
  return { child, told, ended, next, stderr: () => stderr, pid: child.pid ?? 0 }
}

/** QEMUs of a host process, oldest first. @param {number} root */
function qemusBelow(root) {
  return below(root)
    .filter((pid) => /^[^\0]*qemu-system[^\0]*\0/.test(commandLine(pid)))
    .toSorted((a, b) => startOf(a) - startOf(b))
}

/** @param {number} pid */
function startOf(pid) {
  return Number(identityOf(pid)?.split('-')[1] ?? 0)
}

/** Whether one of them has such arguments. @param {number} root @param {(line: string) => boolean} fits */
function hasQemu(root, fits) {
  return qemusBelow(root).some((pid) => fits(commandLine(pid)))
}

/** Whether a template is being written. @param {string} cache */
function isSaving(cache) {
  try {
    const names = readdirSync(join(cache, 'templates'))
    return names.some((name) => name.startsWith('tmp-') && (statSync(join(cache, 'templates', name, 'state'), { throwIfNoEntry: false })?.size ?? 0) > 0)
  } catch {
    return false
  }
}

/** Until the host process is in the phase: what can be seen from outside, or what it says. @param {Host} host @param {string} phase @param {string} cache */
async function reach(host, phase, cache) {
  const resumed = (/** @type {string} */ line) => line.includes('-incoming')
  const reached = {
    boot: () => hasQemu(host.pid, (line) => !resumed(line) && line.includes('vm/root')),
    save: () => isSaving(cache),
    restore: () => hasQemu(host.pid, resumed),
  }[phase]
  for (;;) {
    if (reached === undefined ? host.told.some(({ event }) => event === 'reached') : reached()) return
    if (host.child.exitCode !== null || host.child.signalCode !== null) throw new Error(`the host process ended before the phase: ${host.stderr()}`)
    await (reached === undefined ? host.next() : delay(1))
  }
}

/** The newest one: where a pool is refilled there are two. @param {Host} host @param {(pid: number) => void} act */
function toQemu(host, act) {
  const pid = qemusBelow(host.pid).at(-1)
  if (pid !== undefined) act(pid)
  return pid === undefined ? 'no QEMU was there any more' : undefined
}

/** @param {Host} host @param {string} limit */
function limitDescriptors(host, limit) {
  execFileSync('prlimit', ['--pid', String(host.pid), `--nofile=${limit}:`])
}

/** Does the fault; says when there was nothing to do it to. @param {string} fault @param {Host} host @param {string} cache */
async function strike(fault, host, cache) {
  switch (fault) {
    case 'host-sigkill':
      return void host.child.kill('SIGKILL')
    case 'host-sigterm':
      return void host.child.kill('SIGTERM')
    case 'host-sigint-twice':
      host.child.kill('SIGINT')
      return void host.child.kill('SIGINT')
    case 'qemu-sigkill':
      return toQemu(host, (pid) => process.kill(pid, 'SIGKILL'))
    case 'qemu-sigstop':
      return toQemu(host, (pid) => process.kill(pid, 'SIGSTOP'))
    case 'descriptors': {
      const open = readdirSync(`/proc/${host.pid}/fd`).length
      limitDescriptors(host, String(open))
      const heal = setTimeout(() => limitDescriptors(host, '1024'), 5_000)
      void host.ended.then(() => clearTimeout(heal))
      return undefined
    }
    case 'clock-jump':
      host.child.stdin.write('clock\n')
      return undefined
    case 'cache-deleted':
      for (const kind of ['templates', 'layers', 'locks', 'verdicts']) rmSync(join(cache, kind), { recursive: true, force: true })
      return undefined
    // These were there from the start.
    default:
      return undefined
  }
}

/** Faults that need no moment: the host process, its places or its image have them from the start. */
const FROM_THE_START = ['memory-pressure', 'disk-full', 'repl-dies', 'agent-dies', 'agent-hangs']

/** @param {{ cache: string, scratch: string, env?: Record<string, string> }} places */
async function saveTemplate({ cache, scratch, env = {} }) {
  const maker = await startHost({ phase: 'save', cache, runtime, scratch, env })
  if ((await maker.ended).code !== 0) throw new Error(`no template to begin with: ${maker.stderr()}`)
  const failure = maker.told.find((line) => 'error' in line)
  if (failure !== undefined) throw new Error(`no template to begin with: ${JSON.stringify(failure)}`)
}

/** @param {string} fault @param {string} phase @param {string} directory */
async function tryCell(fault, phase, directory) {
  const startedAt = performance.now()
  const [cache, scratch] = [join(directory, 'cache'), join(directory, 'tmp')]
  if (phase === 'boot' || phase === 'save') mkdirSync(cache, { recursive: true })
  else cpSync(prepared, cache, { recursive: true, preserveTimestamps: true })
  mkdirSync(scratch)
  /** @type {Record<string, string>} */
  const env = {}
  if (fault.startsWith('qemu-')) env['CHAOS_WAIT'] = '1'
  if (fault === 'memory-pressure') env['CHAOS_RESERVE'] = '1'
  // The interpreter ends itself in the middle of a run.
  if (fault === 'repl-dies') env['CHAOS_CODE'] = 'echo up; sleep 1; kill -KILL $$'
  mkdirSync(join(cache, 'templates'), { recursive: true, mode: 0o700 })
  const small = `mount -t tmpfs -o size=8m,mode=700 tmpfs ${join(cache, 'templates')} && exec "$@"`
  const before = fault === 'disk-full' ? ['unshare', '-m', 'sh', '-c', small, 'sh'] : []
  if (fault.startsWith('agent-')) {
    env['EXEC_SANDBOX_IMAGE_DIR'] = makeHostileImage(fault, phase, imageDirectory, directory)
    if (needsTemplate(phase)) await saveTemplate({ cache, scratch, env })
  }
  const host = await startHost({ phase, cache, runtime, scratch, env, before })
  /** @type {Set<string>} */
  const seen = new Set()
  const watch = setInterval(() => {
    for (const pid of [host.pid, ...below(host.pid)]) {
      const identity = identityOf(pid)
      if (identity !== undefined) seen.add(identity)
    }
  }, 10)
  const limit = setTimeout(() => host.child.kill('SIGKILL'), CELL_LIMIT_MS)
  let nothing
  let late = false
  try {
    // What was there from the start needs no moment.
    if (!FROM_THE_START.includes(fault)) {
      await reach(host, phase, cache)
      nothing = await strike(fault, host, cache)
      host.child.stdin.write('go\n')
    }
    await host.ended
  } finally {
    late = performance.now() - startedAt >= CELL_LIMIT_MS
    clearInterval(watch)
    clearTimeout(limit)
  }

  const next = await startHost({ phase: 'restore', cache, runtime, scratch })
  await next.ended
  const left = await leftOvers({ seen, cell: directory, cache, scratch, owner: host.pid })
  return { host, next, left, late, nothing, ms: performance.now() - startedAt }
}

/** @param {Awaited<ReturnType<typeof tryCell>>} trial @param {string} expected */
function judge({ host, next, left, late, nothing }, expected) {
  const faults = [...left]
  const outcome = host.told.find((line) => 'outcome' in line || 'error' in line)
  const closed = host.told.find(({ closed: counts }) => counts !== undefined)?.closed
  if (late) faults.push(`it hung for ${CELL_LIMIT_MS / 1_000} s`)
  if (next.told.find((line) => line.outcome !== undefined)?.outcome?.stdout !== '42\n')
    faults.push(`the next start failed: ${JSON.stringify(next.told)} ${next.stderr()}`)
  if (expected === 'dies') {
    if (host.child.signalCode === null && nothing === undefined && outcome === undefined) faults.push('it did not die')
    return { faults, how: host.child.signalCode ?? 'ended before the signal' }
  }
  if (host.child.exitCode !== 0) faults.push(`it ended with ${host.child.exitCode ?? host.child.signalCode}: ${host.stderr()}`)
  if (closed === undefined || closed.vms !== 0 || closed.waiting !== 0) faults.push(`slots are still taken: ${JSON.stringify(closed)}`)
  if (outcome?.error !== undefined && (expected === 'fine' || !outcome.error.typed)) faults.push(`an error: ${JSON.stringify(outcome.error)}`)
  if (outcome === undefined) faults.push('it said nothing')
  return { faults, how: nothing ?? outcome?.error?.code ?? 'recovered' }
}

const home = mkdtempSync(join(tmpdir(), 'chaos-'))
const runtime = join(home, 'runtime')
const prepared = join(home, 'prepared')
mkdirSync(runtime, { mode: 0o700 })
const imageDirectory = (await openImage({ paths: resolvePaths(process.env), env: process.env })).directory
/** @type {Map<string, string>} */
const matrix = new Map()
let unclean = 0
try {
  const cells = chooseCells(process.argv.slice(2))
  mkdirSync(prepared)
  // A template for those that are to be resumed, and somebody who is there all the time with the same places.
  const scratch = join(home, 'tmp')
  mkdirSync(scratch)
  await saveTemplate({ cache: prepared, scratch })
  const bystander = await startHost({ phase: 'bystander', cache: prepared, runtime, scratch })
  while (bystander.told.length === 0 && bystander.child.exitCode === null) await bystander.next()
  for (const { fault, phase, cell } of cells) {
    if ('reason' in cell) {
      matrix.set(`${fault}:${phase}`, '–')
      if (process.argv.length > 2) console.log(`${fault.padEnd(18)} ${phase.padEnd(9)} not here: ${cell.reason}`)
      continue
    }
    const directory = mkdtempSync(join(home, 'cell-'))
    const trial = await tryCell(fault, phase, directory)
    const { faults, how } = judge(trial, cell.expected)
    const answers = bystander.told.length
    bystander.child.stdin.write('?\n')
    while (bystander.told.length === answers && bystander.child.exitCode === null) await bystander.next()
    if (bystander.told.at(-1)?.outcome !== 'here\n') faults.push(`it harmed another host process: ${JSON.stringify(bystander.told.at(-1))} ${bystander.stderr()}`)
    rmSync(directory, { recursive: true, force: true })
    matrix.set(`${fault}:${phase}`, faults.length === 0 ? how : `UNCLEAN`)
    unclean += faults.length === 0 ? 0 : 1
    console.log(`${fault.padEnd(18)} ${phase.padEnd(9)} ${faults.length === 0 ? 'clean' : 'UNCLEAN'}  ${how}, ${Math.round(trial.ms)} ms`)
    for (const line of faults) console.log(`    ${line}`)
  }
  bystander.child.stdin.write('end\n')
  await bystander.ended
} finally {
  rmSync(home, { recursive: true, force: true })
}
console.log(`\n${''.padEnd(18)} ${PHASES.map((phase) => phase.padEnd(14)).join('')}`)
for (const fault of FAULTS) {
  const row = PHASES.map((phase) => (matrix.get(`${fault}:${phase}`) ?? '').slice(0, 13).padEnd(14))
  if (row.some((word) => word.trim() !== '')) console.log(`${fault.padEnd(18)} ${row.join('')}`)
}
const tried = [...matrix.values()].filter((word) => word !== '–').length
console.log(`\n${tried} cells tried, ${unclean} unclean; – is not tried here, docs/chaos.md has the reasons`)
process.exitCode = unclean === 0 ? 0 : 1
