import type { DisplayedValue } from '../../sandbox/index.ts'
import type { CliContext } from '../context.ts'
import { printable, writeAll } from '../terminal.ts'

/** Sequences that move nothing by themselves, such as the end of a colour. */
// oxlint-disable-next-line no-control-regex
const SEQUENCES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\))/g

/** Whether the cursor stands behind something after `text`. @param before whether it did before */
export function leavesLineOpen(text: string, before: boolean): boolean {
  const shown = text.replace(SEQUENCES, '')
  return shown === '' ? before : !shown.endsWith('\n')
}

/** Where programs and the tool itself write. On a terminal it knows whether the cursor is at the beginning of a line. */
export class Screen {
  readonly #context: Pick<CliContext, 'stdout' | 'stderr'>
  #open = false

  constructor(context: Pick<CliContext, 'stdout' | 'stderr'>) {
    this.#context = context
  }

  /** What a program has written, unchanged. */
  async output(stream: 'stdout' | 'stderr', text: string, bytes: Uint8Array | string = text): Promise<void> {
    const target = this.#context[stream]
    if (target.isTTY === true) this.#open = leavesLineOpen(text, this.#open)
    await writeAll(target, bytes)
  }

  /**
   * A displayed value. A value is data, perhaps from elsewhere: looking at it must not drive the terminal, so its control
   * characters are shown as a dot.
   */
  async value(value: DisplayedValue): Promise<void> {
    const text = value.text ?? `[${Object.keys(value).join(', ')}]`
    if (this.#context.stdout.isTTY === true) await this.beginLine()
    await this.output('stdout', `${printable(text)}\n`)
  }

  /** A message of the tool. */
  async say(text: string): Promise<void> {
    await this.beginLine()
    await this.output('stderr', text)
  }

  /** The terminal itself has shown something: `^C`. */
  echoed(): void {
    this.#open = true
  }

  /** What comes next begins a line: output that does not end with a newline is not written over. */
  async beginLine(): Promise<void> {
    if (this.#open) await this.output('stderr', '\n')
    this.#open = false
  }
}
