/** The first cause of a QEMU's end, whatever followed from it. */
export type ExitCause =
  /** The host asked for it; `reason` completes "stopped because …". */
  | { readonly kind: 'asked'; readonly reason: string }
  /** The guest's kernel panicked; `message` is its own line about it, when there was one. */
  | { readonly kind: 'guest-panic'; readonly message: string }
  /** The guest reset or powered itself off without a panic: its PID 1 ended it. */
  | { readonly kind: 'guest-shutdown'; readonly reason: string }
  /** QEMU was ended by a signal from outside, or aborted. */
  | { readonly kind: 'signal'; readonly signal: string }
  /** The host's kernel ended it: it took more memory than its control group may have. */
  | { readonly kind: 'memory-limit' }
  /** QEMU ended by itself; 1 is how it refuses its arguments. */
  | { readonly kind: 'code'; readonly code: number }
  /** QEMU broke QMP and was killed. */
  | { readonly kind: 'broke-qmp'; readonly reason: string }
  /** The process could not be started at all; `error` is the errno name. */
  | { readonly kind: 'spawn-failed'; readonly error: string }

/** How a QEMU ended. It is dead when this exists. */
export type QemuExit = ExitCause & {
  /** The end of what QEMU and the jail wrote to stderr. */
  readonly stderrTail: string
}

/** Characters of stderr kept in an exit: a few lines. */
export const STDERR_TAIL_LENGTH = 2_000

/** One sentence part: completes "The VM ended: …". */
export function describeExit(exit: QemuExit): string {
  if (exit.kind === 'asked') return exit.reason
  if (exit.kind === 'guest-panic') return `the guest kernel panicked: ${exit.message}`
  if (exit.kind === 'guest-shutdown') return `the guest shut itself down (${exit.reason})`
  if (exit.kind === 'signal') return `QEMU was ended by ${exit.signal}${lastLine(exit.stderrTail)}`
  if (exit.kind === 'memory-limit') return 'the host ended QEMU: it took more memory than its control group allows'
  if (exit.kind === 'code') return `QEMU ended by itself with code ${exit.code}${lastLine(exit.stderrTail)}`
  if (exit.kind === 'broke-qmp') return `QEMU was killed: ${exit.reason}`
  return `QEMU could not be started: ${exit.error}`
}

/** Whether the same start may succeed another time. A refused argument or a missing file stays refused. */
export function canPass(exit: QemuExit): boolean {
  if (exit.kind === 'asked' || exit.kind === 'spawn-failed') return false
  // Refused memory is the one refusal by QEMU that may pass.
  if (exit.kind === 'code') return exit.code !== 1 || /cannot allocate memory/i.test(exit.stderrTail)
  return true
}

function lastLine(text: string): string {
  const line = text.trim().split('\n').at(-1) ?? ''
  return line === '' ? '' : `: ${line}`
}

/** Characters from the end of the boot log in which a panic's first line stands: its trace follows it. */
const PANIC_WINDOW = 16_384

/** The kernel's own words for a panic, from the end of the boot log. Undefined when it did not panic. */
export function findPanic(bootLog: string): string | undefined {
  const line = /^.*Kernel panic - not syncing.*$/gm.exec(bootLog.slice(-PANIC_WINDOW))?.[0]
  return line
    ?.replace(/^\[\s*[\d.]+\]\s*/, '')
    .replaceAll('\r', '')
    .slice(0, 500)
}
