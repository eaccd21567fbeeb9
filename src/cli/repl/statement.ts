import type { Language } from '../../sandbox/index.ts'

/**
 * What a language says of a text: nothing that follows can belong to it; it stands as it is, but the next line may belong
 * to it (`else` after a block); or it ends in the middle of something.
 */
export type Verdict = 'complete' | 'open' | 'incomplete'

/** Where lines come from: someone types them and waits for what they do, or they come through a pipe. */
export type Origin = 'terminal' | 'pipe'

/**
 * Whether the text runs now, or waits for another line. At a terminal, a block of Python's ends with an empty line, as in
 * Python's own REPL; what is open in other languages runs. From a pipe the next line decides, as in a file.
 */
export function runsNow(verdict: Verdict, text: string, from: { language: Language; origin: Origin }): boolean {
  if (verdict !== 'open') return verdict === 'complete'
  if (from.origin === 'pipe') return false
  return from.language !== 'python' || /(?:^|\n)[ \t]*$/.test(text)
}

/** Beginnings of a line that goes on with what stands before it, if that is open. */
const CONTINUATIONS: Readonly<Record<Language, RegExp>> = {
  python: /^(?:$|[ \t#)\]}]|(?:else|elif|except|finally|case)\b)/,
  // What JavaScript itself joins to a line without a semicolon, and what may follow a block.
  javascript:
    /^(?:$|[ \t.,?:)\]}([`*%&|^=<>]|\/|\+(?!\+)|-(?!-)|!=|(?:else|catch|finally|in|instanceof|as|satisfies)\b)/,
  bash: /^$/,
}

/** Whether a line from a pipe may belong to the open text before it. */
export function continues(language: Language, line: string): boolean {
  return CONTINUATIONS[language].test(line.trimEnd())
}

/** Whether a line from a pipe is taken for a part of what stands before it without asking the language. */
export function isIndented(line: string): boolean {
  return /^[ \t]|^\s*$/.test(line)
}

/** What leaves a REPL when it is all of a statement, as in the language's own; the number is the exit code. */
const EXITS: Readonly<Record<Language, RegExp>> = {
  python: /^(?:(?:exit|quit|sys\.exit)\(\s*(\d*)\s*\)|exit|quit);?$/,
  javascript: /^process\.exit\(\s*(\d*)\s*\);?$/,
  bash: /^(?:exit|logout)(?:\s+(\d+))?;?$/,
}

/**
 * The exit code with which a statement leaves the REPL; undefined for any other statement.
 * @param last exit code of the program before, which a bare `exit` of bash takes
 */
export function exitCodeOfStatement(language: Language, text: string, last: number): number | undefined {
  const match = EXITS[language].exec(text.trim())
  if (match === null) return undefined
  const code = match[1] ?? ''
  return code === '' && language === 'bash' ? last : Number(code) & 0xff
}
