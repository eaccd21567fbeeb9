// Puts the transpiler's output back on the lines of the source, so that stack traces tell the right ones.
//
// Bun's transpiler prints a program anew, one statement per line, and gives no source map in REPL mode. Its lines
// begin where a line break is allowed, and its words come in the order of the source's. So each output line is
// matched to the source line on which its first words stand, and moved there by changing nothing but line breaks.

/** Words of the source that are looked through for the next one of the output: about 20 lines. */
const LOOKAHEAD = 200

/** Sources above this length keep the transpiler's lines: matching is linear, but so is everybody's patience. */
const SOURCE_LIMIT = 524_288

const WORD = /[\p{ID_Start}$_][\p{ID_Continue}$]*|\d[\w.]*/gu

/** Lines that the transpiler adds around the program. */
const ADDED = /^(?:var [^=]*;|\((?:async )?\(\) => \{|  return \{|    __proto__: null,|  \};|\}\)\(\);)$/

const checker = new Bun.Transpiler({ loader: 'js', minifyWhitespace: true, deadCodeElimination: false })

interface Word {
  readonly text: string
  readonly line: number
}

/** `script` with its lines moved to those of `source`; `script` itself if that would change what it means. */
export function keepLines(source: string, script: string): string {
  if (source.length > SOURCE_LIMIT) return script
  return verified(script, layOut(matchLines(source, script), script.split('\n')))
}

function verified(script: string, moved: string): string {
  try {
    return checker.transformSync(moved) === checker.transformSync(script) ? moved : script
  } catch {
    return script
  }
}

/** For each line of the script, the line of the source where it belongs; 0 where nothing matches. */
function matchLines(source: string, script: string): number[] {
  const words = readWords(source)
  let next = 0
  return script.split('\n').map((line) => {
    if (ADDED.test(line)) return 0
    let first = 0
    const texts = [...line.replace(/^ {4}value: /, '').matchAll(WORD)].map(([text]) => text)
    texts.forEach((text, index) => {
      const found = find(words, next, text, texts[index + 1])
      if (found < 0) return
      first ||= words[found]?.line ?? 0
      next = found + 1
    })
    return first
  })
}

function readWords(source: string): Word[] {
  return source.split('\n').flatMap((line, index) => [...line.matchAll(WORD)].map(([text]) => ({ text, line: index + 1 })))
}

/** A word that is not the very next one must be followed by the right one, lest an added word lead astray. */
function find(words: readonly Word[], from: number, text: string, following: string | undefined): number {
  if (words[from]?.text === text) return from
  for (let index = from + 1; index < Math.min(words.length, from + LOOKAHEAD); index++) {
    if (words[index]?.text === text && (following === undefined || words[index + 1]?.text === following)) return index
  }
  return -1
}

function layOut(targets: readonly number[], lines: readonly string[]): string {
  const continued = templateContinuations(lines)
  let current = 1
  let text = ''
  lines.forEach((line, index) => {
    const target = targets[index] ?? 0
    if (continued[index]) {
      text += '\n'
      current += 1
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
const CODE_TOKEN = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?<=[(,=:[!&|?{};\n]\s*|return )\/(?:[^/\\[]|\\.|\[(?:[^\]\\]|\\.)*\])+\/|[`{}]/g
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
