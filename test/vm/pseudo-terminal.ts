import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { withDeadline } from '../../src/base/index.ts'
import { descendants } from './processes.ts'
import { MAIN } from './sbx.ts'

const HOST = fileURLToPath(new URL('pseudo-terminal.py', import.meta.url))

/** Keys that are no characters, and what the terminal does not show. */
export const KEYS = {
  enter: '\r',
  interrupt: '\u0003',
  end: '\u0004',
  tab: '\t',
  up: '\u001b[A',
  left: '\u001b[D',
  pasteStart: '\u001b[200~',
  pasteEnd: '\u001b[201~',
  bell: '\u0007',
} as const

/** Milliseconds after which a screen that stays as it is has stopped. */
const SILENCE_MS = 45_000

/** Sequences that colour or move: what is left is what can be read. */
// oxlint-disable-next-line no-control-regex
const SEQUENCES = /\u001b\[[0-?]*[ -/]*[@-~]/g

/** `sbx` on a pseudo-terminal. */
export class PseudoTerminal implements AsyncDisposable {
  readonly #process: ChildProcessWithoutNullStreams
  readonly #ended: Promise<number>
  #raw = ''
  #seen = 0
  #wake: () => void = () => undefined

  /** @param stdout a file that gets the standard output instead of the screen */
  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}, stdout?: string) {
    const redirected = stdout === undefined ? [] : ['sh', '-c', `exec "$0" "$@" > '${stdout}'`]
    this.#process = spawn('python3', [HOST, ...redirected, process.execPath, MAIN, ...args], {
      env: { ...process.env, TERM: 'xterm', ...env },
    })
    this.#process.stderr.resume()
    this.#process.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#raw += text
      this.#wake()
    })
    this.#ended = once(this.#process, 'close').then(([code]: unknown[]) => {
      this.#wake()
      return code as number
    })
  }

  /** All that the screen has got, sequences included. */
  get raw(): string {
    return this.#raw
  }

  /** All that can be read on it. */
  get text(): string {
    return this.#raw.replaceAll(SEQUENCES, '').replaceAll('\r', '')
  }

  /** The process of `sbx`. */
  get pid(): number {
    return descendants(this.#process.pid ?? 0)[0] ?? 0
  }

  /** Presses keys. */
  type(keys: string): void {
    this.#process.stdin.write(keys)
  }

  /** Enters a line, and waits until the screen shows something. */
  async enter(line: string, shown: string | RegExp): Promise<string> {
    this.type(`${line}${KEYS.enter}`)
    return await this.until(shown)
  }

  /**
   * Waits for something behind what was waited for before, and gives what stands between.
   * @throws when the program ends first, or nothing more comes for long
   */
  async until(shown: string | RegExp): Promise<string> {
    for (;;) {
      const text = this.text.slice(this.#seen)
      const found = typeof shown === 'string' ? (text.includes(shown) ? shown : undefined) : shown.exec(text)?.[0]
      if (found !== undefined) {
        const end = text.indexOf(found) + found.length
        this.#seen += end
        return text.slice(0, end)
      }
      if (this.#process.exitCode !== null) throw new Error(`it ended before it showed ${String(shown)}:\n${this.text}`)
      const more = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      const onTimeout = (): Error => new Error(`it did not show ${String(shown)}:\n${JSON.stringify(this.text)}`)
      await withDeadline(more, { timeoutMs: SILENCE_MS, onTimeout })
    }
  }

  /** Closes the window. */
  hangUp(): void {
    this.#process.stdin.end()
  }

  /** Waits for the end of the program, and gives its exit code. */
  async ended(): Promise<number> {
    return await this.#ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null) this.hangUp()
    await this.#ended
  }
}
