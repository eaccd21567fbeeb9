import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { Duplex, Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { KVM_DEVICE } from '../host/index.ts'
import { QEMU_ENVIRONMENT } from './jail-arguments.ts'
import { renderJailFilter } from './jail-filter.ts'
import { findInheritable } from './inherited-descriptors.ts'
import type { QemuCommand } from './qemu-command.ts'
import type { Accelerator } from './vm-plan.ts'

/** A started QEMU's process and the ends of its connections. */
export interface QemuChild {
  readonly process: ChildProcess
  readonly stderr: Readable
  readonly qmp: Duplex
  readonly console: Duplex
  readonly channel: Duplex
  /** Where bubblewrap tells the pid; it ends when the jail stands. */
  readonly jail: Duplex | undefined
  /** The first process of the jail's pid namespace, as the host numbers it; undefined when there is none. */
  readonly innermost: Promise<number | undefined>
}

/** How the process ended, once it is certain that nothing of it runs any more. */
export interface ChildEnd {
  readonly code: number | undefined
  readonly signal: string | undefined
  /** errno name when it never started. */
  readonly spawnError: string | undefined
}

/**
 * Starts QEMU with its three connections as inherited socket pairs (descriptors 3, 4 and 5). The first process is
 * bubblewrap's, QEMU is its grandchild.
 */
export function spawnQemu(command: QemuCommand, accelerator: Accelerator): QemuChild {
  const held: number[] = []
  const hold = (path: string, flags: string): number => {
    const descriptor = openSync(path, flags)
    held.push(descriptor)
    return descriptor
  }
  try {
    const nothing = hold('/dev/null', 'r+')
    const kvm = accelerator === 'kvm' ? hold(KVM_DEVICE, 'r+') : nothing
    // Only bubblewrap may speak here; without it the descriptor would be QEMU's, and so would be the pid we kill.
    const info = command.jailed ? 'pipe' : nothing
    const filter: Stdio = command.jailed ? ['pipe'] : []
    const opened = command.opened.map((path) => hold(path, 'r'))
    const ours: Stdio = ['ignore', 'ignore', 'pipe', 'pipe', 'pipe', 'pipe', kvm, info, ...filter, ...opened]
    return spawnWith(command, [...ours, ...inheritNothing(ours.length, nothing)])
  } finally {
    for (const descriptor of held) closeSync(descriptor)
  }
}

function spawnWith(command: QemuCommand, stdio: Stdio): QemuChild {
  const child = spawn(command.file, command.argv, {
    stdio,
    // Nothing of the host's environment reaches QEMU, jail or not.
    env: { PATH: process.env['PATH'], ...QEMU_ENVIRONMENT },
    // A group of its own: Ctrl-C in the user's terminal is ours to handle, not QEMU's.
    detached: true,
  })
  const streams: readonly unknown[] = child.stdio ?? []
  const [, , , qmp, console_, channel, , jail, filter] = streams
  const all = isDuplex(qmp) && isDuplex(console_) && isDuplex(channel)
  if (!(all && child.stderr instanceof Readable)) {
    // Node makes no streams when the process is out of descriptors; the child does not exist then.
    child.on('error', () => undefined)
    throw new Error('the host process has no descriptors left for another VM (see `ulimit -n`)')
  }
  if (command.jailed && isDuplex(filter)) {
    // bubblewrap reads to the end before anything runs; a jail that gets none, or a part of one, does not start.
    filter.on('error', () => undefined)
    filter.end(JAIL_FILTER)
  }
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
  })
  const innermost = isDuplex(jail) ? firstProcess(jail, exited) : Promise.resolve(undefined)
  return {
    process: child,
    stderr: child.stderr,
    qmp,
    console: console_,
    channel,
    innermost,
    jail: isDuplex(jail) ? jail : undefined,
  }
}

/**
 * Descriptors that this process was started with and would pass on to every child: a log file of a service, a pipe of a
 * build tool. Node closes only its own ones at exec; a taken-over QEMU must not find the others open.
 */
const INHERITED = findInheritable()

/** The same for every VM. */
const JAIL_FILTER = renderJailFilter()

type Stdio = Exclude<StdioOptions, string | undefined | null>

/** Entries from descriptor `first` on: /dev/null over each inherited one. What stands between is closed at exec. */
function inheritNothing(first: number, nothing: number): Stdio {
  const length = Math.max(0, (INHERITED.at(-1) ?? 0) - first + 1)
  return Array.from({ length }, (_, index) => (INHERITED.includes(index + first) ? nothing : 'ignore'))
}

function isDuplex(stream: unknown): stream is Duplex {
  return stream instanceof Duplex
}

/** Pauses between two looks at a namespace that is ending, in milliseconds; one or two are usual. */
const LOOK_AGAIN_MS = 1

/** Looks before a dying process is believed to be stuck in the kernel: seconds. Nothing more can be done for it. */
const MOST_LOOKS = 2_000

/** Node has no call to wait for a process that is not its child, so it looks. */
async function namespaceEnded(first: number | undefined): Promise<void> {
  if (first === undefined) return
  for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
    if (hasEnded(first)) return
    await delay(LOOK_AGAIN_MS)
  }
}

/** A zombie has ended: it waits only for its new parent to look. */
function hasEnded(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return true
  }
}

/** So long bubblewrap may take to tell the pid; it takes milliseconds, and one that is stuck is killed without. */
const TELLING_LIMIT_MS = 2_000

/**
 * Kills the process tree. The namespace's first process is killed by its own pid, and the kernel takes the rest with it:
 * while bubblewrap still sets the jail up, killing only the outer process would leave the inner one behind, which has not
 * yet asked to die with it. It says the pid before it lets the inner process go on.
 */
export async function killTree(child: QemuChild): Promise<void> {
  const inner = await Promise.race([child.innermost, delay(TELLING_LIMIT_MS, undefined, { ref: false })])
  if (child.process.exitCode !== null || child.process.signalCode !== null) return
  if (inner !== undefined) {
    try {
      process.kill(inner, 'SIGKILL')
    } catch {
      // It is gone already.
    }
  }
  child.process.kill('SIGKILL')
}

/** The pid that bubblewrap tells on its info descriptor, or undefined once that ends, or its process, without one. */
async function firstProcess(jail: Duplex, exited: Promise<void>): Promise<number | undefined> {
  let text = ''
  const told = new Promise<number | undefined>((resolve) => {
    jail.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(0, 4_096)
      const pid = /"child-pid":\s*(\d+)\s*[,}]/.exec(text)?.[1]
      if (pid !== undefined) resolve(Number(pid))
    })
    jail.on('error', () => resolve(undefined))
    jail.on('close', () => resolve(undefined))
  })
  return await Promise.race([told, exited.then(() => undefined)])
}

/**
 * Resolves when the whole process tree is dead: bubblewrap has been reaped, the last holder of the stderr pipe, which QEMU
 * inherits and never closes, is gone, and so is the first process of the namespace, which the kernel lets end last. A
 * killed bubblewrap is reaped before any of that.
 */
export async function childDead(child: QemuChild): Promise<ChildEnd> {
  const drained = new Promise<void>((resolve) => {
    child.stderr.once('close', resolve)
  })
  const end = await new Promise<ChildEnd>((resolve) => {
    child.process.once('error', (error: NodeJS.ErrnoException) => {
      // 'error' is also how a failed kill is told; only a process that never had a pid did not start.
      if (child.process.pid === undefined) {
        resolve({ code: undefined, signal: undefined, spawnError: error.code ?? error.message })
      }
    })
    child.process.once('exit', (code, signal) =>
      resolve({ code: code ?? undefined, signal: signal ?? undefined, spawnError: undefined }),
    )
  })
  if (end.spawnError === undefined) {
    await drained
    await namespaceEnded(await child.innermost)
  }
  for (const socket of [child.stderr, child.qmp, child.console, child.channel, child.jail]) socket?.destroy()
  return end
}
