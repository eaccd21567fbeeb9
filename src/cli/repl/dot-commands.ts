import type { Language } from '../../sandbox/index.ts'

/** The REPL's own commands, what they take, and what they do. */
export const DOT_COMMANDS = {
  '.help': ['', 'this list'],
  '.exit': ['', 'leave, as Ctrl-D does'],
  '.language': ['NAME', 'go on in another language, in the same VM; the session of each is kept'],
  '.run': ['FILE', 'run a program of this machine in the session of its language'],
  '.upload': ['LOCAL [GUEST]', 'copy a file or directory into the VM'],
  '.download': ['GUEST [LOCAL]', 'copy a file or directory out of the VM'],
  '.restart': ['', 'begin with a new interpreter; files stay'],
} as const satisfies Record<string, readonly [args: string, what: string]>

export type DotCommandName = keyof typeof DOT_COMMANDS

export type DotLine =
  | { readonly kind: 'command'; readonly name: DotCommandName; readonly args: readonly string[] }
  /** Begins as a command does, and means nothing in the language either. */
  | { readonly kind: 'unknown'; readonly word: string }
  /** The language's. */
  | { readonly kind: 'text' }

/**
 * Whose a line is, by its first word alone: `.help` is ours in every language, `.5` and `. file` never are. A word that is
 * no command of ours is one of bash's, perhaps; in the other languages no statement begins so.
 */
export function parseDotLine(language: Language, line: string): DotLine {
  const word = /^\.\S*/.exec(line)?.[0]
  if (word === undefined) return { kind: 'text' }
  if (isCommand(word)) return { kind: 'command', name: word, args: splitWords(line.slice(word.length)) }
  return language !== 'bash' && /^\.[a-z]+$/i.test(word) ? { kind: 'unknown', word } : { kind: 'text' }
}

/** Words as a shell splits them: spaces separate, quotes and backslashes keep them in. */
export function splitWords(text: string): string[] {
  const words = text.match(/(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s\\"'])+/gs) ?? []
  return words.map((word) =>
    word.replace(
      /\\(.)|"((?:\\.|[^"\\])*)"|'([^']*)'/gs,
      (_, escaped?: string, double?: string, single?: string) =>
        escaped ?? double?.replace(/\\(["\\$`])/g, '$1') ?? single ?? '',
    ),
  )
}

export function helpText(): string {
  const entries = Object.entries(DOT_COMMANDS).map(
    ([name, [args, what]]) => [`${name} ${args}`.trimEnd(), what] as const,
  )
  const width = Math.max(...entries.map(([usage]) => usage.length))
  const lines = entries.map(([usage, what]) => `  ${usage.padEnd(width)}  ${what}`)
  return `${lines.join('\n')}
Ctrl-C interrupts a program and keeps the session; a program that ignores it is ended by the third.
`
}

function isCommand(word: string): word is DotCommandName {
  return Object.hasOwn(DOT_COMMANDS, word)
}
