// TypeScript and JSX to a script for the session's global scope.

import { keepLines } from './line-layout.ts'

/** What every program is transpiled with. What depends on the module a program is in has one answer here. */
const COMMON = {
  loader: 'tsx',
  define: {
    __dirname: '"/home/user"',
    __filename: '"/home/user/input.tsx"',
    'import.meta.main': 'true',
    'import.meta.dir': '"/home/user"',
    'import.meta.dirname': '"/home/user"',
    'import.meta.url': '"file:///home/user/"',
    'import.meta.env': 'process.env',
    'import.meta.require': 'require',
    'import.meta.resolve': 'require.resolve',
  },
} as const

// Bun's REPL mode: top-level names become properties of the global object, so that they stay and may be declared
// again; a program that awaits becomes an async function; the last expression becomes `{ value }`.
const replTranspiler = new Bun.Transpiler({ ...COMMON, replMode: true } as Bun.TranspilerOptions)
const plainTranspiler = new Bun.Transpiler({ ...COMMON, deadCodeElimination: false } as Bun.TranspilerOptions)

const VALUE = '\n    value: '

export interface Program {
  readonly script: string
  /** The last statement is an expression, whose value is a result of the run. */
  readonly displays: boolean
}

export function transpile(source: string): Program {
  const script = replTranspiler.transformSync(source)
  return { script: keepLines(source, script), displays: endsWithExpression(source, script) }
}

/**
 * A second try for programs whose `export` REPL mode leaves inside a function. There is nobody to import from a
 * program, so the declaration is what counts.
 */
export function withoutExports(script: string): string {
  return script
    .replace(/^ *export default (?=(?:async )?function\b|class\b)/gm, '')
    .replace(/^ *export default /gm, ';')
    .replace(/^ *export (?=(?:async )?function\b|class\b)/gm, '')
    .replace(/^ *export (?:\*|\{)[^;]*;/gm, '')
}

/** REPL mode gives declarations a value as well: `const x = 1` and `x = 1` look alike in its output. */
function endsWithExpression(source: string, script: string): boolean {
  const position = script.lastIndexOf(VALUE)
  if (position < 0) return false
  const value = script.slice(position + VALUE.length)
  if (/^[\p{ID_Start}$_][\p{ID_Continue}$]* = \(?await import\(/u.test(value)) return false
  if (!/^(?:[\p{ID_Start}$_][\p{ID_Continue}$]* = |[[{])/u.test(value)) return true
  // A comma may follow an expression. What would have to follow it in a declaration is a name.
  const plain = plainTranspiler.transformSync(source).trimEnd().replace(/;$/, '')
  try {
    plainTranspiler.transformSync(`${plain}\n, 0`)
    return true
  } catch {
    return false
  }
}
