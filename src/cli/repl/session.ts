import type { Language, RunResult, Sandbox } from '../../sandbox/index.ts'
import { notesOn } from '../run-notes.ts'
import type { Screen } from './screen.ts'

export interface SessionOptions {
  readonly sandbox: Sandbox
  readonly screen: Screen
  /** Milliseconds per program. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** What a press of Ctrl-C does while a program runs; the first is number 1. */
export function stepOf(press: number): 'interrupt' | 'warn' | 'restart' | 'none' {
  if (press === 1) return 'interrupt'
  if (press === 2) return 'warn'
  return press === 3 ? 'restart' : 'none'
}

/** The programs of a REPL, one after the other, and what can happen to them. */
export class Session {
  readonly #sandbox: Sandbox
  readonly #screen: Screen
  readonly #timeoutMs: number
  readonly #signal: AbortSignal
  #running: Language | undefined
  #presses = 0

  constructor({ sandbox, screen, timeoutMs, signal }: SessionOptions) {
    this.#sandbox = sandbox
    this.#screen = screen
    this.#timeoutMs = timeoutMs
    this.#signal = signal
  }

  get isRunning(): boolean {
    return this.#running !== undefined
  }

  /**
   * Runs a program and shows what it gives.
   * @throws as `Sandbox.runCode`
   */
  async run(language: Language, code: string): Promise<RunResult> {
    this.#running = language
    this.#presses = 0
    try {
      const result = await this.#sandbox.runCode(code, {
        language,
        timeoutMs: this.#timeoutMs,
        signal: this.#signal,
        onStdout: async (text, bytes) => await this.#screen.output('stdout', text, bytes),
        onStderr: async (text, bytes) => await this.#screen.output('stderr', text, bytes),
      })
      // Values come beside the output, not in step with it: shown now, they stand behind what was printed before them.
      for (const value of result.results) await this.#screen.value(value)
      for (const note of notesOn(result, this.#timeoutMs)) await this.#screen.say(note)
      if (result.state === 'reset') {
        await this.#screen.say(
          `sbx: ${language} was ended (exit code ${result.exitCode}); the next line finds a new one\n`,
        )
      }
      return result
    } finally {
      this.#running = undefined
    }
  }

  /**
   * Ctrl-C while a program runs. The first is the language's own interrupt, which keeps the state. One that a program
   * ignores is followed by a warning, and the third ends the interpreter.
   */
  async interrupt(): Promise<void> {
    const language = this.#running
    if (language === undefined) return
    this.#presses += 1
    const step = stepOf(this.#presses)
    if (step === 'none') return
    if (step === 'restart') return await this.#sandbox.contexts.restart({ language })
    if (step === 'warn') {
      await this.#screen.say(
        `sbx: the program goes on. Ctrl-C once more ends ${language}, and what its session has is lost\n`,
      )
    }
    await this.#sandbox.contexts.interrupt({ language })
  }

  /** A new interpreter; files stay. */
  async restart(language: Language): Promise<void> {
    await this.#sandbox.contexts.restart({ language, signal: this.#signal })
  }

  /**
   * Runs a question in the user's own interpreter, whose names it is about, for at most `timeoutMs`.
   * @returns undefined when there was no answer in time
   */
  async ask(language: Language, code: string, timeoutMs: number): Promise<RunResult | undefined> {
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), timeoutMs)
    try {
      return await this.#sandbox.runCode(code, { language, signal: late.signal })
    } catch (error) {
      // The question is interrupted; the next program waits until it has ended.
      if (late.signal.aborted) return undefined
      throw error
    } finally {
      clearTimeout(timer)
    }
  }
}
