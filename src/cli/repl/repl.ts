import { AbortedError, FileError, InvalidInputError, SandboxClosedError, throwIfAborted } from '../../base/index.ts'
import type { Language, Sandbox, SandboxEnd } from '../../sandbox/index.ts'
import type { CliContext } from '../context.ts'
import { explainError } from '../terminal.ts'
import { perform, type Request } from './dot-actions.ts'
import { type DotLine, parseDotLine } from './dot-commands.ts'
import { Judge, type Judgement } from './judge.ts'
import type { Input, LineSource, Prompts } from './line-source.ts'
import type { Screen } from './screen.ts'
import type { Session } from './session.ts'
import { continues, exitCodeOfStatement, isIndented, type Origin, runsNow } from './statement.ts'

const PROMPTS: Readonly<Record<Language, Prompts>> = {
  python: { first: '>>> ', further: '... ' },
  javascript: { first: '> ', further: '| ' },
  bash: { first: '$ ', further: '> ' },
}

export interface ReplOptions {
  readonly sandbox: Sandbox
  readonly session: Session
  readonly screen: Screen
  readonly lines: LineSource
  readonly origin: Origin
  readonly context: Pick<CliContext, 'env' | 'signal' | 'onInterrupt'>
  /** Called when the language changes, before the next line is read. */
  readonly onLanguage: (language: Language) => Promise<void>
}

/** Reads statements and runs them until the input ends, or the sandbox does. */
export class Repl {
  readonly #options: ReplOptions
  readonly #judge: Judge
  #language: Language
  /** The statement that is being entered. */
  #text = ''
  /** What the language says of it; undefined when it has not been asked. */
  #judgement: Judgement | undefined
  #interruptions = 0
  #exitCode = 0
  /** A command under way. */
  #command: AbortController | undefined
  #end: SandboxEnd | undefined

  constructor(options: ReplOptions) {
    this.#options = options
    this.#language = options.sandbox.info().language
    this.#judge = new Judge(options.sandbox, options.context.signal)
  }

  get language(): Language {
    return this.#language
  }

  /** Nothing of a statement has been entered yet. */
  get isFirst(): boolean {
    return this.#text === ''
  }

  /** Of the last program. */
  get exitCode(): number {
    return this.#exitCode
  }

  /**
   * @returns the exit code of the REPL: 0 for a person who leaves, else that of the last program
   * @throws what ends the sandbox; AbortedError
   */
  async run(): Promise<number> {
    const { context, lines, origin, sandbox } = this.#options
    // A script is interrupted as a whole, by the signal.
    const release = origin === 'terminal' ? context.onInterrupt(() => this.#onInterrupt()) : () => undefined
    const onAbort = (): void => lines.close()
    context.signal.addEventListener('abort', onAbort)
    void sandbox.closed.then((end) => {
      this.#end = end
      lines.close()
    })
    void this.#judge.prepare(this.#language)
    try {
      for (;;) {
        const left = await this.#take(await this.#read())
        if (left !== undefined) return left
      }
    } finally {
      context.signal.removeEventListener('abort', onAbort)
      release()
      lines.close()
    }
  }

  async #read(): Promise<Input> {
    const { lines, context, screen } = this.#options
    const { first, further } = PROMPTS[this.#language]
    await screen.beginLine()
    throwIfAborted(context.signal)
    const input = await lines.read({ first: this.#text === '' ? first : further, further })
    // Both close the lines, and neither is an end of the input.
    throwIfAborted(context.signal)
    if (this.#end === undefined) return input
    throw new SandboxClosedError(`The sandbox has ended: ${this.#end.message}`, { reason: this.#end.reason })
  }

  /** @returns the exit code when this was the last input */
  async #take(input: Input): Promise<number | undefined> {
    const { origin, screen } = this.#options
    if (input.kind === 'line') {
      this.#interruptions = 0
      return await this.#takeLine(input.text, input.more)
    }
    if (input.kind === 'interrupt') {
      this.#interruptions = this.#text === '' ? this.#interruptions + 1 : 0
      this.#clear()
      if (this.#interruptions === 2) await screen.say('sbx: Ctrl-D or .exit leaves\n')
      return undefined
    }
    if (origin === 'terminal' && this.#text !== '') {
      this.#clear()
      return undefined
    }
    if (this.#text !== '') await this.#runText((await this.#judged()).code)
    return origin === 'terminal' ? 0 : this.#exitCode
  }

  async #takeLine(line: string, more: boolean): Promise<number | undefined> {
    if (this.#text === '') {
      if (line.trim() === '') return undefined
      const own = parseDotLine(this.#language, line)
      if (own.kind !== 'text') return await this.#takeCommand(own)
      const left = exitCodeOfStatement(this.#language, line, this.#exitCode)
      if (left !== undefined) return left
    } else if (!(await this.#belongs(line))) {
      await this.#runText((await this.#judged()).code)
      return await this.#takeLine(line, more)
    }
    const isFirst = this.#text === ''
    this.#text = isFirst ? line : `${this.#text}\n${line}`
    this.#judgement = undefined
    const waits = more || (this.#options.origin === 'pipe' && !isFirst && isIndented(line))
    if (!waits) await this.#consider()
    return undefined
  }

  /** Asks the language about the text, and runs it if it is whole. */
  async #consider(): Promise<void> {
    const { verdict, code } = await this.#judged()
    if (runsNow(verdict, this.#text, { language: this.#language, origin: this.#options.origin })) {
      await this.#runText(code)
    }
  }

  async #judged(): Promise<Judgement> {
    this.#judgement ??= await this.#judge.judge(this.#language, this.#text)
    return this.#judgement
  }

  /** Whether a line belongs to the text before it. Someone who types says so by what they type next. */
  async #belongs(line: string): Promise<boolean> {
    if (this.#options.origin === 'terminal' || isIndented(line)) return true
    const { verdict } = await this.#judged()
    if (verdict !== 'open') return verdict === 'incomplete'
    return continues(this.#language, line) && parseDotLine(this.#language, line).kind !== 'command'
  }

  async #runText(code: string): Promise<void> {
    this.#clear()
    await this.#runCode(this.#language, code)
  }

  async #runCode(language: Language, code: string): Promise<void> {
    const { lines, session } = this.#options
    lines.suspend()
    try {
      this.#exitCode = (await session.run(language, code)).exitCode
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error
      await this.#explain(error)
    }
  }

  async #takeCommand(line: Exclude<DotLine, { kind: 'text' }>): Promise<number | undefined> {
    const { context, screen, sandbox, lines } = this.#options
    if (line.kind === 'unknown') {
      await this.#explain(new InvalidInputError(`${line.word} is no command (.help lists them)`, { field: 'command' }))
      return undefined
    }
    lines.suspend()
    const interrupt = new AbortController()
    this.#command = interrupt
    try {
      const signal = AbortSignal.any([context.signal, interrupt.signal])
      const { env } = context
      const request = await perform(line.name, line.args, { sandbox, screen, language: this.#language, env, signal })
      return await this.#fulfil(request)
    } catch (error) {
      throwIfAborted(context.signal)
      if (error instanceof AbortedError) await screen.say('sbx: interrupted\n')
      else if (error instanceof InvalidInputError || error instanceof FileError) await this.#explain(error)
      else throw error
      return undefined
    } finally {
      this.#command = undefined
    }
  }

  async #fulfil(request: Request): Promise<number | undefined> {
    const { screen, session, onLanguage, origin } = this.#options
    switch (request.kind) {
      case 'nothing':
        break
      case 'exit':
        return origin === 'terminal' ? 0 : this.#exitCode
      case 'restart':
        await session.restart(this.#language)
        await screen.say(`sbx: a new ${this.#language}\n`)
        break
      case 'language':
        this.#language = request.language
        void this.#judge.prepare(request.language)
        await onLanguage(request.language)
        break
      case 'run':
        await this.#runCode(request.language, request.code)
        break
    }
    return undefined
  }

  /** In a script, what the tool refuses is a failure like that of a program. */
  async #explain(error: InvalidInputError | FileError): Promise<void> {
    this.#exitCode = error instanceof FileError ? 125 : 2
    await this.#options.screen.say(explainError(error))
  }

  #onInterrupt(): void {
    const { session, lines, screen } = this.#options
    if (!session.isRunning && this.#command === undefined) return lines.interrupt()
    screen.echoed()
    // What goes wrong here is told by what it was to interrupt.
    if (session.isRunning) session.interrupt().catch(() => undefined)
    else this.#command?.abort()
  }

  #clear(): void {
    this.#text = ''
    this.#judgement = undefined
  }
}
