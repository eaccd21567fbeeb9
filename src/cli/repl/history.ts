import { appendFile, mkdir, open, readFile, rename } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import type { Language } from '../../sandbox/index.ts'

/** Lines kept per language. */
export const HISTORY_LINES = 1_000

/** Longer ones were pasted, and nobody looks for them. */
const LINE_CHARACTERS = 10_000

/**
 * The lines of earlier sessions, in a file per language that only its owner may read. Whatever stands in the way of
 * reading or writing it costs the history and nothing else.
 */
export class History {
  readonly #directory: string
  #last: Promise<void> = Promise.resolve()

  constructor(env: NodeJS.ProcessEnv) {
    this.#directory = stateDirectory(env)
  }

  /** The latest lines, newest first. */
  async load(language: Language): Promise<string[]> {
    const file = this.#file(language)
    try {
      const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '')
      const kept = lines.slice(-HISTORY_LINES)
      if (lines.length > 2 * HISTORY_LINES) await rewrite(file, kept)
      return kept.toReversed()
    } catch {
      return []
    }
  }

  /** Adds a line; one after the other, in the background. */
  add(language: Language, line: string): void {
    if (line.trim() === '' || line.length > LINE_CHARACTERS) return
    const file = this.#file(language)
    this.#last = this.#last
      .then(async () => {
        await mkdir(dirname(file), { recursive: true, mode: 0o700 })
        // One write of its own: sessions that run at the same time add whole lines.
        await appendFile(file, `${line}\n`, { mode: 0o600 })
      })
      .catch(() => undefined)
  }

  /** Waits until all that was added is written. */
  async saved(): Promise<void> {
    await this.#last
  }

  #file(language: Language): string {
    return join(this.#directory, `history-${language}`)
  }
}

/** Replaces the file as a whole: a session that dies meanwhile leaves the old one. */
async function rewrite(file: string, lines: readonly string[]): Promise<void> {
  const part = `${file}.${process.pid}`
  const handle = await open(part, 'w', 0o600)
  try {
    await handle.writeFile(lines.map((line) => `${line}\n`).join(''))
  } finally {
    await handle.close()
  }
  await rename(part, file)
}

/** The XDG base directory specification; a relative path there is to be ignored. */
function stateDirectory(env: NodeJS.ProcessEnv): string {
  const state = env['XDG_STATE_HOME']
  const home = env['HOME']
  const base =
    state !== undefined && isAbsolute(state)
      ? state
      : join(home !== undefined && isAbsolute(home) ? home : homedir(), '.local', 'state')
  return join(base, 'exec-sandbox')
}
