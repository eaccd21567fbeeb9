import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { Duplex, Readable } from 'node:stream'
import { KVM_DEVICE } from '../host/index.ts'
import { findInheritable, FIRST_FOREIGN } from './inherited-descriptors.ts'
import type { QemuCommand } from './qemu-command.ts'
import type { Accelerator } from './vm-plan.ts'

/** A started QEMU's process and the ends of its connections. */
export interface QemuChild {
  readonly process: ChildProcess
  readonly stderr: Readable
  readonly qmp: Duplex
  readonly console: Duplex
  readonly channel: Duplex
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
 * bubblewrap's, QEMU is its grandchild; killing the first kills all.
 */
export function spawnQemu(command: QemuCommand, accelerator: Accelerator): QemuChild {
  const kvm = accelerator === 'kvm' ? openSync(KVM_DEVICE, 'r+') : undefined
  const nothing = openSync('/dev/null', 'r+')
  try {
    return spawnWith(command, [
      'ignore',
      'ignore',
      'pipe',
      'pipe',
      'pipe',
      'pipe',
      kvm ?? nothing,
      ...inheritNothing(nothing),
    ])
  } finally {
    closeSync(nothing)
    if (kvm !== undefined) closeSync(kvm)
  }
}

function spawnWith(command: QemuCommand, stdio: Stdio): QemuChild {
  const child = spawn(command.file, command.argv, {
    stdio,
    // Nothing of the host's environment reaches QEMU, jail or not.
    env: { PATH: process.env['PATH'] },
    // A group of its own: Ctrl-C in the user's terminal is ours to handle, not QEMU's.
    detached: true,
  })
  const streams: readonly unknown[] = child.stdio ?? []
  const [, , , qmp, console_, channel] = streams
  if (!(child.stderr instanceof Readable && isDuplex(qmp) && isDuplex(console_) && isDuplex(channel))) {
    // Node makes no streams when the process is out of descriptors; the child does not exist then.
    child.on('error', () => undefined)
    throw new Error('the host process has no descriptors left for another VM (see `ulimit -n`)')
  }
  return { process: child, stderr: child.stderr, qmp, console: console_, channel }
}

/**
 * Descriptors that this process was started with and would pass on to every child: a log file of a service, a pipe of a
 * build tool. Node closes only its own ones at exec; a taken-over QEMU must not find the others open.
 */
const INHERITED = findInheritable()

type Stdio = Exclude<StdioOptions, string | undefined | null>

/** Entries from descriptor 7 on: /dev/null over each inherited one. What stands between is closed at exec. */
function inheritNothing(nothing: number): Stdio {
  const last = INHERITED.at(-1)
  if (last === undefined) return []
  const length = last - FIRST_FOREIGN + 1
  return Array.from({ length }, (_, index) => (INHERITED.includes(index + FIRST_FOREIGN) ? nothing : 'ignore'))
}

function isDuplex(stream: unknown): stream is Duplex {
  return stream instanceof Duplex
}

/**
 * Resolves when the whole process tree is dead: bubblewrap has been reaped, and the last holder of the stderr pipe, which
 * QEMU inherits and never closes, is gone. A killed bubblewrap is reaped before the kernel has ended its namespace.
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
  if (end.spawnError === undefined) await drained
  for (const socket of [child.stderr, child.qmp, child.console, child.channel]) socket.destroy()
  return end
}
