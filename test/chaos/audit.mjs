// @ts-check
// What may be left of a host process, and whether it is.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** Milliseconds in which a dead process's own may still be ending. */
const ENDING_MS = 10_000

/** A process of one moment: numbers are given again. @param {number} pid */
export function identityOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : `${pid}-${fields[19]}`
  } catch {
    return undefined
  }
}

/** Everything below a process. @param {number} root */
export function below(root) {
  const found = [root]
  for (let at = 0; at < found.length; at += 1) {
    const pid = found[at]
    try {
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const children = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
        for (const word of children.split(' ')) if (word !== '') found.push(Number(word))
      }
    } catch {
      // It has ended meanwhile.
    }
  }
  return found.slice(1)
}

/** @param {number} pid */
export function commandLine(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

/**
 * What is left when the host process has ended and the next one has come and gone; empty is clean.
 * @param {{ readonly seen: ReadonlySet<string>, readonly cell: string, readonly cache: string, readonly scratch: string, readonly owner: number }} facts
 */
export async function leftOvers({ seen, cell, cache, scratch, owner }) {
  const deadline = performance.now() + ENDING_MS
  const alive = () => [...seen].filter((one) => identityOf(Number(one.split('-')[0])) === one)
  while (alive().length > 0 && performance.now() < deadline) await delay(10)
  const found = alive().map((one) => `process ${one} ${commandLine(Number(one.split('-')[0])).slice(0, 60)}`)
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  found.push(...mounts.filter((line) => line.includes(cell)).map((line) => `mount ${line}`))
  found.push(...groupsOf(owner).map((name) => `control group ${name}`))
  found.push(...entries(scratch).map((name) => `temporary ${name}`))
  for (const kind of ['templates', 'layers', 'uploads', 'build/tmp'])
    found.push(...entries(join(cache, kind)).filter((name) => !/^[0-9a-f]{16,}$/.test(name)).map((name) => `${kind}/${name}`))
  found.push(...entries(cache).filter((name) => /tmp|\.new|~/.test(name)).map((name) => `cache/${name}`))
  return found
}

/** @param {string} directory */
function entries(directory) {
  return existsSync(directory) ? readdirSync(directory) : []
}

/** Control groups of VMs of one host process, wherever a cgroup2 is mounted. @param {number} owner */
function groupsOf(owner) {
  const roots = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'cgroup2')
    .map(([, at]) => at ?? '')
  return roots.flatMap((root) => entries(root).filter((name) => name.startsWith(`exec-sandbox.vm-${owner}-`)))
}
