import { createInterface, type Interface } from 'node:readline'
import type { ReadStream, WriteStream } from 'node:tty'
import { HISTORY_LINES } from './history.ts'
import type { Input, LineSource, Prompts } from './line-source.ts'

/** Bracketed paste (xterm's control sequences): the terminal says where a paste begins and ends. */
const PASTE_ON = '\u001b[?2004h'
const PASTE_OFF = '\u001b[?2004l'

const BELL = '\u0007'

/** What can stand for the end of a line: whole words, and the part of the line that they replace. */
export type Completions = readonly [words: readonly string[], replaced: string]

export interface LineEditorOptions {
  readonly input: ReadStream
  /** Prompts and echo go here: stderr, so that stdout holds what programs print and nothing else. */
  readonly output: WriteStream
  /** @param line up to the cursor */
  readonly complete: (line: string) => Completions | Promise<Completions>
  /** Each line that is entered. */
  readonly onLine: (line: string) => void
  /** `$TERM`. */
  readonly term: string | undefined
}

/**
 * Lines that somebody types, with Node's editor. While a program runs the terminal is as any program finds it: what is
 * typed is echoed by the terminal and waits there, and Ctrl-C is SIGINT.
 */
export class LineEditor implements LineSource {
  readonly #options: LineEditorOptions
  readonly #arrived: Input[] = []
  readonly #knowsPaste: boolean
  #history: string[] = []
  #interface: Interface | undefined
  #wake: ((input: Input) => void) | undefined
  #prompts: Prompts = { first: '', further: '' }
  /** The terminal has been asked to tell of pastes. */
  #tellsPaste = false
  #pasting = false
  #ended = false
  /** What had been typed in an editor that was closed. */
  #begun = ''

  constructor(options: LineEditorOptions) {
    this.#options = options
    this.#knowsPaste = options.term !== undefined && options.term !== 'dumb'
    options.input.once('end', () => {
      this.#ended = true
    })
    options.input.on('error', this.#onHangUp)
    process.once('exit', this.#restoreTerminal)
  }

  /** Begins with other earlier lines, newest first. */
  useHistory(lines: readonly string[]): void {
    this.#begun = this.#interface?.line ?? ''
    this.#shut()
    this.#history = [...lines]
  }

  async read(prompts: Prompts): Promise<Input> {
    this.#prompts = prompts
    const arrived = this.#arrived.shift()
    if (arrived !== undefined) return arrived
    if (this.#ended) return { kind: 'end' }
    const { input, output } = this.#options
    const editor = (this.#interface ??= this.#open())
    input.setRawMode(true)
    if (this.#knowsPaste) output.write(PASTE_ON)
    this.#tellsPaste = this.#knowsPaste
    editor.setPrompt(prompts.first)
    // What was typed meanwhile stays, and the cursor behind it.
    editor.prompt(true)
    return await new Promise<Input>((resolve) => {
      this.#wake = resolve
    })
  }

  suspend(): void {
    this.#interface?.pause()
    this.#restoreTerminal()
  }

  /** Shows something that comes while a line is being edited, above the line. */
  interject(show: () => void): void {
    this.#options.output.write('\n')
    show()
    this.#interface?.prompt(true)
  }

  /** Ctrl-C that came as a signal although the editor has the terminal. */
  interrupt(): void {
    this.#interface?.write(null, { ctrl: true, name: 'e' })
    this.#options.output.write('\n')
    this.#shut()
    this.#arrive({ kind: 'interrupt' })
  }

  close(): void {
    this.#ended = true
    this.#shut()
    process.off('exit', this.#restoreTerminal)
    this.#arrive({ kind: 'end' })
  }

  #open(): Interface {
    const { input, output } = this.#options
    const editor = createInterface({
      input,
      output,
      terminal: true,
      history: this.#history,
      historySize: HISTORY_LINES,
      completer: (line: string, done: (error: null, completions: [string[], string]) => void) => {
        // A tab in pasted text is a tab.
        const answer = this.#pasting ? ([['\t'], ''] as const) : this.#options.complete(line)
        const give = ([words, replaced]: Completions): void => {
          // Typed on meanwhile, the line is no longer the one that was asked about.
          const isSame = editor.line.slice(0, editor.cursor) === line
          if (words.length === 0) output.write(BELL)
          done(null, isSame ? [[...words], replaced] : [[], ''])
        }
        // What is known at once is done before the next key.
        if (!(answer instanceof Promise)) give(answer)
        // Nothing that goes wrong here is worth more than no completion; what ended the sandbox is told elsewhere.
        else void answer.catch((): Completions => [[], '']).then(give)
      },
    })
    editor.on('history', (lines) => (this.#history = lines))
    editor.on('line', (line) => this.#onLine(line))
    editor.on('SIGINT', () => this.interrupt())
    editor.on('error', this.#onHangUp)
    editor.on('SIGCONT', () => editor.prompt(true))
    editor.on('close', () => {
      // Closed here it is the end of its use and not of the input.
      if (this.#interface !== editor) return
      output.write('\n')
      this.#shut()
      this.#arrive({ kind: 'end' })
    })
    input.on('keypress', this.#onKey)
    if (this.#begun !== '') editor.write(this.#begun)
    this.#begun = ''
    return editor
  }

  #shut(): void {
    const editor = this.#interface
    this.#interface = undefined
    this.#pasting = false
    this.#options.input.off('keypress', this.#onKey)
    editor?.close()
    this.#restoreTerminal()
  }

  /** A terminal that has hung up refuses even to be restored. */
  readonly #onHangUp = (): void => {
    if (!this.#ended) this.close()
  }

  readonly #onKey = (_: unknown, key: { readonly name?: string } | undefined): void => {
    if (key?.name === 'paste-start') this.#pasting = true
    if (key?.name === 'paste-end') this.#pasting = false
  }

  readonly #restoreTerminal = (): void => {
    const { input, output } = this.#options
    if (this.#tellsPaste) output.write(PASTE_OFF)
    this.#tellsPaste = false
    if (!input.destroyed) input.setRawMode(false)
  }

  #onLine(text: string): void {
    this.#options.onLine(text)
    if (this.#pasting) {
      this.#interface?.setPrompt(this.#prompts.further)
      this.#interface?.prompt(true)
    }
    this.#arrive({ kind: 'line', text, more: this.#pasting })
  }

  #arrive(input: Input): void {
    const wake = this.#wake
    this.#wake = undefined
    if (wake === undefined) this.#arrived.push(input)
    else wake(input)
  }
}
