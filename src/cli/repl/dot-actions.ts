import { homedir } from 'node:os'
import { join } from 'node:path'
import { InvalidInputError } from '../../base/index.ts'
import { detectLanguage, type Language, parseLanguage, type Sandbox } from '../../sandbox/index.ts'
import { readProgram } from '../run-sources.ts'
import { printable } from '../terminal.ts'
import { checkDownload, checkUpload, downloadOf, uploadOf } from '../transfers.ts'
import { DOT_COMMANDS, type DotCommandName, helpText } from './dot-commands.ts'
import type { Screen } from './screen.ts'

/** What a command asks of the REPL. */
export type Request =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'exit' }
  | { readonly kind: 'restart' }
  | { readonly kind: 'language'; readonly language: Language }
  | { readonly kind: 'run'; readonly language: Language; readonly code: string }

export interface DotContext {
  readonly sandbox: Sandbox
  readonly screen: Screen
  readonly language: Language
  readonly env: NodeJS.ProcessEnv
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
}

/**
 * Does what a command does by itself, and says what is left to do.
 * @throws InvalidInputError for wrong arguments · what the file operations throw
 */
export async function perform(name: DotCommandName, args: readonly string[], context: DotContext): Promise<Request> {
  const [first = '', second = ''] = args
  checkCount(name, args.length)
  switch (name) {
    case '.help':
      await context.screen.say(helpText())
      break
    case '.exit':
      return { kind: 'exit' }
    case '.restart':
      return { kind: 'restart' }
    case '.language':
      return { kind: 'language', language: parseLanguage(first) }
    case '.run': {
      const file = localPath(first, context.env)
      const code = await readProgram(file)
      return { kind: 'run', code, language: detectLanguage(file, code) ?? context.language }
    }
    case '.upload':
      await upload(localPath(first, context.env), second, context)
      break
    case '.download':
      await download(first, localPath(second, context.env), context)
      break
  }
  return { kind: 'nothing' }
}

async function upload(from: string, to: string, { sandbox, screen, signal }: DotContext): Promise<void> {
  const { local, guest } = uploadOf('.upload', from, to)
  await checkUpload('.upload', local)
  const { path, type, size } = await sandbox.files.write(guest, { hostPath: local }, { signal })
  await screen.say(printable(`sbx: ${path}${type === 'file' ? ` (${size} bytes)` : '/'}`) + '\n')
}

async function download(from: string, to: string, { sandbox, screen, signal }: DotContext): Promise<void> {
  const { local, guest } = downloadOf('.download', from, to)
  await checkDownload('.download', local)
  const { bytes, skipped } = await sandbox.files.download(guest, local, { signal })
  await screen.say(`sbx: ${printable(local)} (${bytes} bytes)\n`)
  for (const left of skipped) await screen.say(`sbx: ${printable(`left out ${left}`)}\n`)
}

/** Required arguments stand before those in brackets. */
function checkCount(name: DotCommandName, count: number): void {
  const [usage] = DOT_COMMANDS[name]
  const words = usage.split(' ').filter((word) => word !== '')
  const required = words.filter((word) => !word.startsWith('[')).length
  if (count >= required && count <= words.length) return
  throw new InvalidInputError(`${name}: expected ${usage === '' ? 'no arguments' : usage}`, { field: name })
}

/** The shell that would expand `~` is not here. */
export function localPath(path: string, env: NodeJS.ProcessEnv): string {
  if (path !== '~' && !path.startsWith('~/')) return path
  return join(env['HOME'] ?? homedir(), path.slice(1))
}
