import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { LANGUAGES, type Language } from '../../sandbox/index.ts'
import { localPath } from './dot-actions.ts'
import { DOT_COMMANDS } from './dot-commands.ts'
import { answerOf, questionOf } from './language-completion.ts'
import type { Completions } from './line-editor.ts'
import type { Session } from './session.ts'

/** Milliseconds that Tab may take: longer, and whoever pressed it has given up. */
const TIMEOUT_MS = 2_000

/** More would scroll away what they are to help with. */
const WORDS_SHOWN = 200

const NONE: Completions = [[], '']

export interface CompletionContext {
  readonly session: Session
  readonly language: Language
  /** The line begins a statement, so it may be a command of ours. */
  readonly isFirst: boolean
  readonly env: NodeJS.ProcessEnv
  /** Exit code of the last program, which the question leaves as it is. */
  readonly exitCode: number
  /** Gets output that came while the question was asked: of threads, timers and jobs of the user's. */
  readonly onOutput: (text: string) => void
}

/** @param line up to the cursor */
export function complete(line: string, context: CompletionContext): Completions | Promise<Completions> {
  // Tab indents where there is nothing to complete.
  if (context.language === 'python' && /^[ \t]*$/.test(line)) return [['    '], '']
  return lookUp(line, context)
}

async function lookUp(line: string, context: CompletionContext): Promise<Completions> {
  if (context.isFirst && line.startsWith('.')) {
    const own = await completeCommand(line, context.env)
    if (own !== undefined) return own
  }
  const question = questionOf(context.language, line, context.exitCode)
  if (question === undefined) return NONE
  const result = await context.session.ask(context.language, question.code, TIMEOUT_MS)
  if (result === undefined) return NONE
  const { words, rest } = answerOf(context.language, result, question)
  if (rest + result.stderr !== '') context.onOutput(rest + result.stderr)
  return [words.slice(0, WORDS_SHOWN), question.replaced]
}

/** Undefined for what is the language's. */
async function completeCommand(line: string, env: NodeJS.ProcessEnv): Promise<Completions | undefined> {
  const [, name = '', argument] = /^(\.\S*)(?:\s+(.*))?$/s.exec(line) ?? []
  if (argument === undefined) {
    const names = Object.keys(DOT_COMMANDS).filter((word) => word.startsWith(name))
    return names.length === 0 ? undefined : [names.map((word) => `${word} `), name]
  }
  if (name === '.language') return [LANGUAGES.filter((word) => word.startsWith(argument)), argument]
  if (name !== '.upload' && name !== '.run') return Object.hasOwn(DOT_COMMANDS, name) ? NONE : undefined
  // A second argument, or one in quotes, is up to the user.
  return /[\s"'\\]/.test(argument) ? NONE : [await localFiles(argument, env), argument]
}

async function localFiles(begun: string, env: NodeJS.ProcessEnv): Promise<readonly string[]> {
  const shown = begun.slice(0, begun.lastIndexOf('/') + 1)
  const prefix = begun.slice(shown.length)
  try {
    const directory = localPath(begun === '~' ? begun : dirname(join(shown, 'x')), env)
    const entries = await readdir(directory, { withFileTypes: true })
    return entries
      .filter(({ name }) => name.startsWith(prefix) && (prefix !== '' || !name.startsWith('.')))
      .map((entry) => `${shown}${entry.name.replace(/[\s"'\\]/g, '\\$&')}${entry.isDirectory() ? '/' : ''}`)
      .toSorted()
  } catch {
    return []
  }
}
