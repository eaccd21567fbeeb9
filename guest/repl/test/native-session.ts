// The agent's part in a session, in a few lines: restarts a REPL that died, reads the pipes, and climbs the ladder of
// signals when the time is up.

import type { CaseCall, CaseLanguage } from '../../../test/vm/cases/index.ts'
import { NativeRepl, type NativeSetup } from './native-repl.ts'

/** The ladder of the product: SIGINT at the limit, SIGTERM 2 s later, SIGKILL 3 s after that. */
const LADDER = [
  { afterMs: 0, signal: 'SIGINT' },
  { afterMs: 2_000, signal: 'SIGTERM' },
  { afterMs: 5_000, signal: 'SIGKILL' },
] as const

const DEFAULT_TIMEOUT_MS = 30_000

/** What the reports about a run begin with. */
const MARK = '0123456789abcdef'

/** How often the pipes are emptied while a program runs. The agent polls descriptors; a test may look again. */
const DRAIN_INTERVAL_MS = 5

export interface NativeResult {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
  readonly reason: 'exit' | 'signal' | 'timeout'
  readonly results: readonly string[]
  readonly resultTypes: readonly (readonly string[])[]
  readonly errorName: string | null
}

export class NativeSession implements AsyncDisposable {
  readonly #language: CaseLanguage
  readonly #setup: NativeSetup
  #repl: NativeRepl | undefined

  constructor(language: CaseLanguage, setup: NativeSetup) {
    this.#language = language
    this.#setup = setup
  }

  async run(call: CaseCall): Promise<NativeResult> {
    const repl = (this.#repl ??= await NativeRepl.start(this.#language, this.#setup))
    for (const [name, value] of Object.entries(call.env ?? {})) repl.send('E', `${name}=${value}`)
    repl.send('C', MARK + call.code)
    const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
    const results: string[] = []
    const resultTypes: string[][] = []
    let errorName: string | null = null
    let climbed = 0
    const start = Date.now()
    for (;;) {
      const message = await repl.receive(DRAIN_INTERVAL_MS)
      // The socket also closes when a program replaces the REPL by `exec`: the end is that of the process.
      if (message === null) await repl.exitStatus
      const { stdout, stderr } = repl.drain()
      output.stdout.push(stdout)
      output.stderr.push(stderr)
      const end = (exitCode: number, reason: NativeResult['reason']) => ({
        stdout: Buffer.concat(output.stdout).toString(),
        stderr: Buffer.concat(output.stderr).toString(),
        exitCode: climbed > 0 ? 124 : exitCode,
        reason: climbed > 0 ? ('timeout' as const) : reason,
        results,
        resultTypes,
        errorName,
      })
      if (message === null) return end(...(await this.#bury(repl)))
      if (message !== undefined && !message.text.startsWith(MARK))
        throw new Error(`a report without mark: ${message.kind}`)
      const report = message?.text.slice(MARK.length) ?? ''
      if (message?.kind === 'D') return end(Number(report), 'exit')
      if (message?.kind === 'O') {
        const bundle = JSON.parse(report) as Record<string, string>
        results.push(bundle['text/plain'] ?? '')
        resultTypes.push(Object.keys(bundle))
      }
      if (message?.kind === 'X') errorName = (JSON.parse(report) as { name: string }).name
      const step = LADDER[climbed]
      if (step && Date.now() - start >= (call.timeoutMs ?? DEFAULT_TIMEOUT_MS) + step.afterMs) {
        climbed += 1
        repl.signal(step.signal)
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#repl?.[Symbol.asyncDispose]()
  }

  /** bubblewrap gives the exit status of the process it started, 128 + n for a signal. */
  async #bury(repl: NativeRepl): Promise<[number, NativeResult['reason']]> {
    const status = await repl.exitStatus
    await repl[Symbol.asyncDispose]()
    this.#repl = undefined
    return [status, status > 128 ? 'signal' : 'exit']
  }
}
