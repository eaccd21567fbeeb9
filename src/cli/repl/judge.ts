import { z } from 'zod'
import { CapacityError, InvalidInputError } from '../../base/index.ts'
import type { Language, Sandbox } from '../../sandbox/index.ts'
import type { Verdict } from './statement.ts'

/** What the language says of a text. */
export interface Judgement {
  readonly verdict: Verdict
  /** The text as it is to run: an object literal of JavaScript's, which is a block by itself, has parentheses. */
  readonly code: string
}

/** An interpreter beside the user's own, so that asking leaves no trace in the session. */
const CONTEXT = 'sbx-repl'

/** Milliseconds for an answer; without one, the text runs and says itself what is wrong with it. */
const TIMEOUT_MS = 20_000

const PYTHON = `
def judge(text):
    import ast, codeop
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST | codeop.PyCF_ALLOW_INCOMPLETE_INPUT
    try:
        body = compile(text, "<input>", "exec", flags, dont_inherit=True).body
    except SyntaxError as error:
        return "incomplete" if type(error).__name__ == "_IncompleteInputError" else "complete"
    except Exception:
        return "complete"
    return "open" if body and (hasattr(body[-1], "body") or hasattr(body[-1], "cases")) else "complete"
`

const JAVASCRIPT = `
function judge(text) {
  const errorsOf = (source) => {
    try {
      new Bun.Transpiler({ loader: 'tsx' }).transformSync(source)
      return []
    } catch (error) {
      const all = error instanceof AggregateError ? error.errors : [error]
      return all.map(({ message, position }) => ({ message: String(message), at: source[position?.offset] ?? '' }))
    }
  }
  const errors = errorsOf(text)
  return { error: errors[0], isObject: text.trimStart().startsWith('{') && errorsOf('(' + text + '\\n)').length === 0 }
}
`

/** Asks a language whether a text is complete. */
export class Judge {
  readonly #sandbox: Sandbox
  readonly #signal: AbortSignal

  constructor(sandbox: Sandbox, signal: AbortSignal) {
    this.#sandbox = sandbox
    this.#signal = signal
  }

  /** @throws whatever says that the sandbox has ended, or the signal was aborted */
  async judge(language: Language, text: string): Promise<Judgement> {
    try {
      if (language === 'bash') return { verdict: await this.#askBash(text), code: text }
      const answer = await this.#ask(language, text)
      return language === 'python' ? { verdict: pythonVerdict(answer), code: text } : javascriptJudgement(answer, text)
    } catch (error) {
      // A text that is too large to ask about, a guest without room for another process: running it will tell.
      const isHarmless = error instanceof InvalidInputError || error instanceof CapacityError
      if (isHarmless) return { verdict: 'complete', code: text }
      throw error
    }
  }

  /** Starts the interpreter that answers, so that the first statement need not wait for it. */
  async prepare(language: Language): Promise<void> {
    // Whatever is wrong is told by the next call.
    await this.judge(language, ':').catch(() => undefined)
  }

  async #ask(language: 'python' | 'javascript', text: string): Promise<string> {
    // The escapes of JSON mean the same in both languages.
    const literal = JSON.stringify(text)
    const code =
      language === 'python'
        ? `${PYTHON}print(judge(${literal}))`
        : `${JAVASCRIPT}console.log(JSON.stringify(judge(${literal})))`
    const options = { language, context: CONTEXT, timeoutMs: TIMEOUT_MS, signal: this.#signal }
    return (await this.#sandbox.runCode(code, options)).stdout
  }

  async #askBash(text: string): Promise<Verdict> {
    if (endsWithBackslash(text)) return 'incomplete'
    // extglob takes more for right, and the session may have it.
    const options = { stdin: `${text}\n`, timeoutMs: TIMEOUT_MS, signal: this.#signal }
    return bashVerdict((await this.#sandbox.commands.run(['/bin/bash', '-O', 'extglob', '-n'], options)).stderr)
  }
}

export function pythonVerdict(answer: string): Verdict {
  const word = answer.trim()
  return word === 'open' || word === 'incomplete' ? word : 'complete'
}

/** @param answer JSON of what `judge` gives: the first thing that is wrong, and the character where it is */
export function javascriptJudgement(answer: string, text: string): Judgement {
  const { error, isObject } = parseAnswer(answer)
  if (isObject && !/;\s*$/.test(text)) return { verdict: 'open', code: `(${text}\n)` }
  if (error === undefined) return { verdict: 'open', code: text }
  return { verdict: isUnfinished(error, text) ? 'incomplete' : 'complete', code: text }
}

/** The messages are those of Bun's parser. */
function isUnfinished({ message, at }: { message: string; at: string }, text: string): boolean {
  if (/end of file$|^Expected "\*\/" to terminate/.test(message)) return true
  if (!message.startsWith('Unterminated string literal')) return false
  // A template literal, or what follows a `${…}` of one; else a string, which only a backslash carries over the end of a line.
  return at === '`' || at === '}' || text.endsWith('\\')
}

const answerSchema = z.object({
  error: z.object({ message: z.string(), at: z.string() }).optional(),
  isObject: z.boolean(),
})

/** What cannot be read is no objection. */
function parseAnswer(answer: string): z.infer<typeof answerSchema> {
  try {
    return answerSchema.parse(JSON.parse(answer))
  } catch {
    return { isObject: false }
  }
}

/** @param stderr of `bash -n` */
export function bashVerdict(stderr: string): Verdict {
  const ends =
    /^\/bin\/bash: line \d+: (?:unexpected EOF while|syntax error: unexpected end of file|warning: here-document)/m
  return ends.test(stderr) ? 'incomplete' : 'complete'
}

/** Whether the last line goes on in the next; a comment does not. */
function endsWithBackslash(text: string): boolean {
  const line = text.slice(text.lastIndexOf('\n') + 1)
  return /(?:^|[^\\])(?:\\\\)*\\$/.test(line) && !/^\s*#/.test(line)
}
