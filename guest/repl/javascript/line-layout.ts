// Puts the transpiler's output back on the lines of the source, so that stack traces tell the right ones.
//
// Bun's transpiler prints a program anew, one statement per line, and gives no source map in REPL mode. Its lines
// begin where a line break is allowed, and its words come in the order of the source's. So each output line is
// matched to the source line on which its first words stand, and moved there by changing nothing but line breaks.

import { alignWords } from './word-alignment.ts'

/** Sources above this length keep the transpiler's lines: checking the result takes two more passes over it. */
const SOURCE_LIMIT = 262_144

const WORD = /[\p{ID_Start}$_][\p{ID_Continue}$]*|\d[\w.]*/gu

/** Lines that the transpiler adds around the program. */
const ADDED =
  /^(?:var [^=]*;| *this\.([\w$]+) = \1;|\((?:async )?\(\) => \{|  return \{|    __proto__: null,|  \};|\}\)\(\);)$/

const checker = new Bun.Transpiler({ loader: 'js', minifyWhitespace: true, deadCodeElimination: false })

interface Word {
  readonly text: string
  readonly line: number
}

/** A script without these has line breaks only between tokens, and a semicolon wherever one would be inserted. */
const DELICATE = /[`]|\/[/*]/

const LINE_BREAK = /[\n\r\u2028\u2029]/

/** `script` with its lines moved to those of `source`; `script` itself if that would change what it means. */
export function keepLines(source: string, script: string): string {
  if (source.length > SOURCE_LIMIT) return script
  const delicate = DELICATE.test(script)
  if (!delicate && !LINE_BREAK.test(source)) return script.replaceAll('\n', ' ')
  try {
    const targets = matchLines(source, script)
    if (!targets) return script
    const moved = layOut(targets, script.split('\n'))
    if (!delicate) return moved
    return checker.transformSync(moved) === checker.transformSync(script) ? moved : script
  } catch {
    return script
  }
}

/**
 * For each line of the script, the line of the source where it belongs; 0 where nothing matches. Undefined for texts that
 * differ too much.
 */
function matchLines(source: string, script: string): number[] | undefined {
  const words = readWords(source)
  const printed = readWords(script.split('\n').map(withoutAdded).join('\n'))
  const targets: number[] = []
  const counterparts = alignWords(texts(words), texts(printed))
  if (!counterparts) return undefined
  counterparts.forEach((counterpart, index) => {
    const line = printed[index]?.line
    if (counterpart >= 0 && line !== undefined) targets[line - 1] ??= words[counterpart]?.line ?? 0
  })
  return targets
}

function texts(words: readonly Word[]): string[] {
  return words.map(({ text }) => text)
}

function withoutAdded(line: string): string {
  return ADDED.test(line) ? '' : line.replace(/^ {4}value: (?:\(0, )?/, '')
}

/** Escapes of white space are not part of the word behind them: the transpiler prints some as what they stand for. */
function readWords(source: string): Word[] {
  return source
    .replace(/\\[nrt]/g, ' ')
    .split('\n')
    .flatMap((line, index) => [...line.matchAll(WORD)].map(([text]) => ({ text, line: index + 1 })))
}

/**
 * The transpiler prints strings with line breaks as template literals that have them. Such a break stays where the source
 * has room for it, as it does for one that stands in the source itself, and is written as an escape elsewhere.
 */
function layOut(targets: readonly number[], lines: readonly string[]): string {
  const continued = templateContinuations(lines)
  const next = nextTargets(targets, lines.length)
  let current = 1
  let text = ''
  lines.forEach((line, index) => {
    const target = targets[index] ?? 0
    if (continued[index]) {
      const fits = current < (next[index] ?? 0)
      text += fits ? '\n' : '\\n'
      current += fits ? 1 : 0
    } else if (index > 0 && target > current) {
      text += '\n'.repeat(target - current)
      current = target
    } else if (index > 0) {
      text += ' '
    }
    text += line
  })
  return text
}

/** For each line the source line of the first one, from it on, that has one; 0 for none. */
function nextTargets(targets: readonly number[], length: number): number[] {
  const next: number[] = []
  let following = 0
  for (let index = length - 1; index >= 0; index--) next[index] = following = targets[index] || following
  return next
}

/** Which lines begin inside a template literal, where a line break is part of the text. */
function templateContinuations(lines: readonly string[]): boolean[] {
  // What encloses the current position: a template literal, or braces inside one.
  const stack: ('`' | '{')[] = []
  return lines.map((line) => {
    const inside = stack.at(-1) === '`'
    scanLine(line, stack)
    return inside
  })
}

/** In code: strings, regular expressions after a character that cannot end an operand, and what opens or closes. */
const CODE_TOKEN =
  /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?<=[(,=:[!&|?{};\n]\s*|return )\/(?:[^/\\[]|\\.|\[(?:[^\]\\]|\\.)*\])+\/|[`{}]/g
const TEMPLATE_TOKEN = /\\.|\$\{|`/g

function scanLine(line: string, stack: ('`' | '{')[]): void {
  let position = 0
  for (;;) {
    const inTemplate = stack.at(-1) === '`'
    const pattern = inTemplate ? TEMPLATE_TOKEN : CODE_TOKEN
    pattern.lastIndex = position
    const match = pattern.exec(line)
    if (!match) return
    position = pattern.lastIndex
    const [token] = match
    if (token === '`' && inTemplate) stack.pop()
    else if (token === '`') stack.push('`')
    else if (token === '${' || (token === '{' && stack.length > 0)) stack.push('{')
    else if (token === '}' && stack.length > 0) stack.pop()
  }
}
