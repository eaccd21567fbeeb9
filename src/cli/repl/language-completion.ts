import { randomBytes } from 'node:crypto'
import type { Language, RunResult } from '../../sandbox/index.ts'

/** What the user's own interpreter is asked about the word before the cursor. */
export interface Question {
  readonly code: string
  /** The part of the line that an answer stands for. */
  readonly replaced: string
  /** Begins each line of bash's answer: its jobs write to the same place. */
  readonly mark: string
}

export interface Answer {
  readonly words: readonly string[]
  /** Output that was no part of the answer. */
  readonly rest: string
}

/** @param exitCode of the last program: `$?` of bash stays as it is */
export function questionOf(language: Language, line: string, exitCode: number): Question | undefined {
  const mark = randomBytes(8).toString('hex')
  if (language === 'bash') return bashQuestion(line, exitCode, mark)
  const name = nameBefore(line)
  if (name === undefined) return undefined
  const { path, prefix } = name
  const code = language === 'python' ? pythonQuestion(path, prefix) : javascriptQuestion(path, prefix)
  return { code, replaced: prefix, mark }
}

/** Only words that can stand in a line come back, whatever the guest says. */
export function answerOf(language: Language, result: RunResult, { mark }: Question): Answer {
  if (language !== 'bash') {
    const text = result.results.at(-1)?.text ?? ''
    return { words: unique(text.slice(1, -1).split(' ').filter(isName)), rest: result.stdout }
  }
  const lines = result.stdout.split(/(?<=\n)/)
  const words = lines.filter((line) => line.startsWith(mark)).map((line) => line.slice(mark.length).trimEnd())
  const shown = unique(words.filter(isShown))
  return {
    // A directory comes twice: as a file, and with its slash.
    words: shown.filter((word) => !shown.includes(`${word}/`)).map(quoted),
    rest: lines.filter((line) => !line.startsWith(mark)).join(''),
  }
}

/** `a.b.pre` at the end of a line: the path `a`, `b`, and the beginning of a name. Calls and subscripts would have to run. */
export function nameBefore(line: string): { readonly path: readonly string[]; readonly prefix: string } | undefined {
  const match =
    /(?:^|[^\p{ID_Continue}$.)\]}"'`])((?:[\p{ID_Start}$_][\p{ID_Continue}$]*\.)*)([\p{ID_Start}$_][\p{ID_Continue}$]*)?$/u.exec(
      line,
    )
  const [, path = '', prefix = ''] = match ?? []
  if (match === null || path + prefix === '') return undefined
  return { path: path.split('.').slice(0, -1), prefix }
}

const PYTHON_WORDS =
  'False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield'

/** Looks attributes up where they are stored: nothing of the user's is called, no property, no `__getattr__`, no `__dir__`. */
const PYTHON = `
def stores(value):
    kind = type(value)
    found = []
    if issubclass(kind, type):
        found += [mapping(each) for each in order(value)]
    else:
        try:
            own = object.__getattribute__(value, "__dict__")
            found += [own] if type(own) is dict else []
        except AttributeError:
            pass
    return found + [mapping(each) for each in order(kind)]
def look(value, name):
    for store in stores(value):
        if name in store:
            found = store[name]
            kind = type(found)
            if kind is type(type.__dict__["__dict__"]) or kind is type(type(look).__globals__):
                return found.__get__(value)
            if kind is property or (hasattr(kind, "__get__") and kind.__flags__ & 512):
                raise LookupError
            return found.__func__ if kind is staticmethod or kind is classmethod else found
    raise LookupError
def run():
    if not path:
        return [*names, *vars(__builtins__), *words]
    value = names[path[0]] if path[0] in names else vars(__builtins__)[path[0]]
    for name in path[1:]:
        value = look(value, name)
    return [name for store in stores(value) for name in store]
mapping = type.__dict__["__dict__"].__get__
order = type.__dict__["__mro__"].__get__
try:
    found += sorted({name for name in run() if type(name) is str and name.startswith(prefix) and (prefix or name[0] != "_")})
except Exception:
    pass
`

function pythonQuestion(path: readonly string[], prefix: string): string {
  const given = `"path": ${JSON.stringify(path)}, "prefix": ${JSON.stringify(prefix)}, "words": "${PYTHON_WORDS}".split()`
  return `(lambda found: __import__("builtins").exec(${JSON.stringify(PYTHON)}, {${given}, "found": found, "names": globals(), "__builtins__": __import__("builtins")}) or " ".join(found))([])`
}

const JAVASCRIPT_WORDS =
  'async await break case catch class const continue debugger default delete do else export extends false finally for function if import in instanceof let new null return static super switch this throw true try typeof undefined var void while with yield'

/** Reads properties where they are stored: no getter runs, and nothing of a proxy. */
function javascriptQuestion(path: readonly string[], prefix: string): string {
  return `((path, prefix) => {
  const { isProxy } = require('node:util/types')
  const chain = (value) => {
    const found = []
    for (let each = Object(value); each !== null; each = Object.getPrototypeOf(each)) {
      if (isProxy(each)) return []
      found.push(each)
    }
    return found
  }
  let value = globalThis
  for (const name of path) {
    const owner = chain(value).find((each) => Object.hasOwn(each, name))
    value = owner && Object.getOwnPropertyDescriptor(owner, name).value
    if (value === undefined || value === null) return ''
  }
  const names = chain(value).flatMap((each) => Object.getOwnPropertyNames(each))
  if (path.length === 0) names.push(...'${JAVASCRIPT_WORDS}'.split(' '))
  return [...new Set(names.filter((name) => name.startsWith(prefix) && (prefix || name[0] !== '_')))].sort().join(' ')
})(${JSON.stringify(path)}, ${JSON.stringify(prefix)})`
}

/** The word at the end; one with quotes, escapes or expansions in it is left alone. */
function bashQuestion(line: string, exitCode: number, mark: string): Question | undefined {
  const replaced = /[^\s;|&()<>={}]*$/.exec(line)?.[0] ?? ''
  if (/["'`\\*?[\]!~]|.\$/.test(replaced)) return undefined
  const before = line.slice(0, line.length - replaced.length)
  // In quotes a space separates nothing, nor does one behind a backslash.
  if (/\\.?$/.test(before) || !/^(?:[^"']|"[^"]*"|'[^']*')*$/.test(before)) return undefined
  const isCommand = /(?:^|[;|&({]|\b(?:then|do|else|if|while|until|time|sudo|exec))\s*$/.test(before)
  const word = `'${replaced}'`
  const compgen = (options: string): string => `builtin compgen ${options} -- ${word}`
  const asked = replaced.startsWith('$')
    ? [`builtin compgen -A variable -P '${mark}$' -- '${replaced.slice(1)}'`]
    : [
        ...(isCommand && !replaced.includes('/') ? [compgen(`-c -P ${mark}`)] : [compgen(`-f -P ${mark}`)]),
        compgen(`-d -P ${mark} -S /`),
      ]
  // In a subshell, whose exit code is the one that stood before; not where that would be taken for a failure.
  const code = `( ${asked.join('; ')}; [[ $- == *e* || -n $(builtin trap -p ERR) ]] || exit ${exitCode}; exit 0 )`
  return replaced === '' && isCommand ? undefined : { code, replaced, mark }
}

function isName(word: string): boolean {
  return word.length <= 256 && /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(word)
}

function isShown(word: string): boolean {
  return word !== '' && word.length <= 4_096 && !/[\p{Cc}\p{Cf}]/u.test(word)
}

/** As it has to be typed. The beginning that was typed has nothing to quote, so it stays as it is. */
function quoted(word: string): string {
  return word.replace(/[\s"'`\\*?[\]!~;|&()<>={}#]/g, '\\$&')
}

function unique(words: readonly string[]): readonly string[] {
  return [...new Set(words)]
}
