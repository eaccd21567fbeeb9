/** One import of a source file: what it names, or `undefined` when a dynamic import computes it. */
export interface ImportStatement {
  readonly specifier: string | undefined
  readonly line: number
}

/** `import … from 'x'`, `export … from 'x'` and `import 'x'`, which stand at the start of a line, over several lines or one. */
const STATIC = /^[ \t]*(?:import|export)\b(?:[^'"`;()=]*?\bfrom)?\s*(['"])([^'"\n]+)\1/gm

/** `import('x')` anywhere, and `import(expression)`. Neither `import.meta` nor a method called `import` is one. */
const DYNAMIC = /(?<![.\w$])import\s*\(\s*(?:(['"`])([^'"`\n$]+)\1\s*[,)])?/g

/** The imports of a TypeScript source text: static, re-exporting, for side effects, dynamic, of types as of values. */
export function importStatements(source: string): ImportStatement[] {
  const text = withoutComments(source)
  return [STATIC, DYNAMIC].flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => ({
      specifier: match[2],
      line: text.slice(0, match.index).split('\n').length,
    })),
  )
}

/** Strings and templates first, so that a `//` inside one is not taken for a comment. */
const TOKENS = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\/.*|\/\*[\s\S]*?\*\//g

function withoutComments(source: string): string {
  return source.replace(TOKENS, (token) => {
    if (token.startsWith('//') || token.startsWith('/*')) return token.replace(/[^\n]/g, ' ')
    // Code held in a string, such as a program for the sandbox, imports nothing: keep one-line strings only, for they
    // may be the specifier itself, and blank the lines of a template.
    return token.startsWith('`') && token.includes('\n') ? token.replace(/[^\n]/g, ' ') : token
  })
}
