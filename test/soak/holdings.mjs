// @ts-check
// What this process holds at an idle point.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { descendants } from '../../dist/cli/bench/process-facts.js'

/** Milliseconds in which what ended may still be on its way out. */
const SETTLE_MS = 40_000

/** @typedef {Readonly<Record<string, number>>} Counts */

/**
 * Everything that is counted and has to be the same at every idle point.
 * @param {import('../../dist/index.js').Scheduler} scheduler
 * @param {{ readonly runtime: string, readonly scratch: string, readonly cache: string }} places
 * @returns {Promise<Counts>}
 */
export async function countHoldings(scheduler, places) {
  const { sandboxes, admission, templates } = scheduler.stats()
  const resources = process.getActiveResourcesInfo()
  return {
    ...countDescriptors(),
    processes: (await descendants()).length,
    timers: resources.filter((name) => name === 'Timeout' || name === 'Immediate').length,
    handles: resources.filter((name) => name !== 'Timeout' && name !== 'Immediate').length,
    runtimeFiles: countFiles(places.runtime),
    scratchFiles: countFiles(places.scratch),
    cacheFiles: countFiles(places.cache),
    templates: countEntries(join(places.cache, 'templates')),
    sandboxes,
    admittedVms: admission.inUse.vms,
    admissionWaiting: admission.waiting,
    spares: templates?.spares ?? 0,
  }
}

/**
 * Counts until they are what they were at the base, or two seconds long the same when there is no base yet; what differs
 * after the time is up is given as it is.
 * @param {() => Promise<Counts>} count
 * @param {Counts | undefined} base
 * @param {AbortSignal} signal
 */
export async function settled(count, base, signal) {
  const deadline = performance.now() + SETTLE_MS
  let wanted = base ?? (await count())
  let since = performance.now()
  for (;;) {
    await delay(50, undefined, { signal })
    const now = await count()
    // What is loaded ahead ends by itself after ten seconds without use.
    const same = now['spares'] === 0 && Object.keys(wanted).every((name) => wanted[name] === now[name])
    if (same && (base !== undefined || performance.now() - since > 2_000)) return now
    if (performance.now() > deadline) return now
    if (!same && base === undefined) [wanted, since] = [now, performance.now()]
  }
}

/** Bytes after garbage collection. */
export async function measureMemory() {
  // What is freed by finalizers is free after the second time.
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc?.()
    await delay(10)
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  return { rss, heap: heapUsed + external }
}

/** Open descriptors by kind; a uid's lock is a descriptor of the one file of locks. */
function countDescriptors() {
  const counts = { files: 0, sockets: 0, pipes: 0, others: 0, uidLocks: 0 }
  for (const name of readdirSync('/proc/self/fd')) {
    let target
    try {
      target = readlinkSync(`/proc/self/fd/${name}`)
    } catch {
      // The directory's own, closed by now.
      continue
    }
    if (target.endsWith('/uids.lock')) counts.uidLocks += 1
    else if (target.startsWith('socket:')) counts.sockets += 1
    else if (target.startsWith('pipe:')) counts.pipes += 1
    else if (target.startsWith('/')) counts.files += 1
    else counts.others += 1
  }
  return counts
}

/** @param {string} directory */
function countFiles(directory) {
  return readdirSync(directory, { recursive: true }).length
}

/** @param {string} directory */
function countEntries(directory) {
  return readdirSync(directory).length
}

/**
 * QEMU processes below this one whose command line holds all of `words`.
 * @param {readonly string[]} words
 */
export async function qemusWith(words) {
  const found = await descendants()
  return found
    .map(({ pid }) => ({ pid, line: commandLineOf(pid) }))
    .filter(({ line }) => words.every((word) => line.includes(word)))
    .map(({ pid }) => pid)
}

/** @param {number} pid */
function commandLineOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}
