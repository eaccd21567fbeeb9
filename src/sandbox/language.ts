import { InvalidInputError } from '../base/index.ts'

/** The languages a sandbox can run. TypeScript runs as `javascript`. */
export const LANGUAGES = ['python', 'javascript', 'bash'] as const
export type Language = (typeof LANGUAGES)[number]

const ALIASES: ReadonlyMap<string, Language> = new Map([
  ...LANGUAGES.map((language) => [language, language] as const),
  ['py', 'python'],
  ['js', 'javascript'],
  ['node', 'javascript'],
  ['ts', 'javascript'],
  ['typescript', 'javascript'],
  ['sh', 'bash'],
  ['shell', 'bash'],
  ['raw', 'bash'],
])

/** Every name `parseLanguage` accepts. */
export const LANGUAGE_NAMES: readonly string[] = [...ALIASES.keys()]

/**
 * The language that a name or alias means.
 * @throws InvalidInputError for any other name
 */
export function parseLanguage(name: string): Language {
  const language = ALIASES.get(name.toLowerCase())
  if (language === undefined) {
    throw new InvalidInputError(`Unknown language: expected one of ${LANGUAGE_NAMES.join(', ')}, got ${quote(name)}`, {
      field: 'language',
    })
  }
  return language
}

const EXTENSIONS: ReadonlyMap<string, Language> = new Map([
  ['.py', 'python'],
  ['.js', 'javascript'],
  ['.mjs', 'javascript'],
  ['.cjs', 'javascript'],
  ['.jsx', 'javascript'],
  ['.ts', 'javascript'],
  ['.mts', 'javascript'],
  ['.cts', 'javascript'],
  ['.tsx', 'javascript'],
  ['.sh', 'bash'],
  ['.bash', 'bash'],
])

/** The language of a source file, by its extension, else by its shebang line, else undefined. */
export function detectLanguage(fileName: string, source: string): Language | undefined {
  const extension = /\.[^./]+$/.exec(fileName)?.[0].toLowerCase()
  return (extension === undefined ? undefined : EXTENSIONS.get(extension)) ?? languageOfShebang(source)
}

function languageOfShebang(source: string): Language | undefined {
  const words = /^#!\s*(.+)/.exec(source)?.[1]?.trim().split(/\s+/) ?? []
  const names = words.map((word) => word.slice(word.lastIndexOf('/') + 1))
  const program = names[0] === 'env' ? names.slice(1).find((name) => !name.startsWith('-')) : names[0]
  if (program === undefined) return undefined
  if (/^python[\d.]*$/.test(program)) return 'python'
  if (['node', 'bun', 'deno', 'tsx', 'ts-node'].includes(program)) return 'javascript'
  // Whatever else a shebang names is started by bash's own shebang rule (semantics §1).
  return 'bash'
}

function quote(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text)
}
