import { type ChildProcess, spawn } from 'node:child_process'

/**
 * Reads `+ pid` and `- pid`; when its input ends, because the benchmark has ended in whatever way, it kills those that are
 * left. A Ctrl-C on the terminal reaches it too and must not be its end.
 */
const SCRIPT = `trap '' INT TERM HUP
live=' '
while read -r word pid; do
  case $word in
    +) live="$live$pid " ;;
    -) live="\${live%% $pid *} \${live#* $pid }" ;;
  esac
done
for pid in $live; do kill -9 "$pid"; done 2>/dev/null`

/**
 * Takes bare processes down with the benchmark, however it ends. The product has its jail for that (`--die-with-parent`);
 * a wrapper around a floor's process would make the floor slower than it is.
 */
export class OrphanGuard implements AsyncDisposable {
  readonly #shell: ChildProcess
  readonly #gone: Promise<void>

  constructor() {
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT], { stdio: ['pipe', 'ignore', 'ignore'] })
    this.#gone = new Promise((resolve) => {
      this.#shell.once('error', () => resolve())
      this.#shell.once('exit', () => resolve())
    })
    // A guard that died early guards nothing, and is no reason to stop.
    this.#shell.stdin?.on('error', () => undefined)
  }

  /** Kills the process when the benchmark ends before the process does. */
  watch(child: ChildProcess): void {
    const { pid } = child
    if (pid === undefined) return
    this.#shell.stdin?.write(`+ ${pid}\n`)
    child.once('exit', () => this.#shell.stdin?.write(`- ${pid}\n`))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#shell.stdin?.end()
    await this.#gone
  }
}
