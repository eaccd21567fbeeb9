// TypeScript and JSX to a script for the session's global scope.

import { IMPORT_META } from './globals.ts'
import { keepLines } from './line-layout.ts'

/** What every program is transpiled with. What depends on the module a program is in has one answer here. */
const COMMON = {
  loader: 'tsx',
  define: { __dirname: '"/home/user"', __filename: '"/home/user/input.tsx"', 'import.meta': IMPORT_META },
} as const

// Bun's REPL mode: top-level names become properties of the global object, so that they stay and may be declared
// again; a program that awaits becomes an async function; the last expression becomes `{ value }`.
const replTranspiler = new Bun.Transpiler({ ...COMMON, replMode: true } as Bun.TranspilerOptions)
const plainTranspiler = new Bun.Transpiler({ ...COMMON, deadCodeElimination: false } as Bun.TranspilerOptions)

const VALUE = '\n    value: '
/** The same for a variable of that name. */
const SHORT_VALUE = '\n    value'
const AFTER_VALUE = '\n  };\n})();'

/** What takes the name of the property it is the value of, unless something stands in between. */
const NAMELESS = /^(?:async\b|function\b|class\b|\(|[\p{ID_Start}$_][\p{ID_Continue}$]* =>)/u

export interface Program {
  readonly script: string
  /** The last statement is an expression, whose value is a result of the run. */
  readonly displays: boolean
}

export function transpile(source: string): Program {
  return finish(source, toScript(source))
}

/**
 * A second try for programs whose `export` REPL mode leaves inside a function. There is nobody to import from a
 * program, so the declaration is what counts, and a default that is an expression is one.
 */
export function transpileWithoutExports(source: string): Program {
  const plain = plainTranspiler
    .transformSync(source)
    .replace(/^export (?:default )?(?=(?:async )?function\*? [^(]|class [^{])/gm, '')
    .replace(/^export default /gm, 'void 0, ')
    .replace(/^export (?:\*|\{)[^;]*;/gm, '')
    .replace(/^export (?=const |let |var )/gm, '')
  return finish(plain, toScript(plain), source)
}

/** A script made of a text, which is the source or was made from it. */
function finish(text: string, script: string, source = text): Program {
  const displays = endsWithExpression(text, script)
  return { script: keepLines(source, displays ? leaveNameless(script) : script), displays }
}

/** REPL mode takes a program in braces for an object. An empty statement behind it makes it the block it may be instead. */
function toScript(source: string): string {
  try {
    return replTranspiler.transformSync(source)
  } catch (error) {
    if (!/^\s*\{/.test(source)) throw error
    return replTranspiler.transformSync(`${source}\n;`)
  }
}

/** REPL mode gives declarations a value as well: `const x = 1` and `x = 1` look alike in its output. */
function endsWithExpression(source: string, script: string): boolean {
  const position = script.lastIndexOf(VALUE)
  if (position < 0) return script.includes(`${SHORT_VALUE}${AFTER_VALUE}`)
  const value = script.slice(position + VALUE.length)
  if (/^[\p{ID_Start}$_][\p{ID_Continue}$]* = \(?await import\(/u.test(value)) return false
  if (!/^(?:[\p{ID_Start}$_][\p{ID_Continue}$]* = |[[{])/u.test(value)) return true
  if (value.startsWith('{') && parses(`(${source}\n)`)) return true
  // A comma may follow an expression. What would have to follow it in a declaration is a name.
  return parses(`${plainTranspiler.transformSync(source).trimEnd().replace(/;$/, '')}\n, 0`)
}

function parses(source: string): boolean {
  try {
    plainTranspiler.transformSync(source)
    return true
  } catch {
    return false
  }
}

/** A function or class that is the last value keeps the name it has in the program: none. */
function leaveNameless(script: string): string {
  const position = script.lastIndexOf(VALUE)
  if (position < 0) return script
  const start = position + VALUE.length
  const end = script.lastIndexOf(AFTER_VALUE)
  const value = script.slice(start, end)
  return NAMELESS.test(value) ? `${script.slice(0, start)}(0, ${value})${script.slice(end)}` : script
}
