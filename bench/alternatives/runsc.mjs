// @ts-check
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { outputOf } from './child.mjs'
import { offer } from './processes.mjs'

/** Milliseconds for the trial run. */
const TRIAL_LIMIT_MS = 20_000

/** What the trial run prints. */
const TRIAL_WORD = 'here'

/** Platforms in the order of preference: the first needs nothing of the host, the second only ptrace(2). */
const PLATFORMS = ['systrap', 'ptrace']

/**
 * gVisor: a kernel in user space between the program and the host's. Tried, not assumed: it does not run everywhere.
 * @param {readonly import('./interpreters.mjs').Interpreter[]} interpreters
 * @param {string} directory where `go install` may have put it
 * @param {AbortSignal} signal
 * @returns {Promise<readonly import('../../dist/cli/bench/alternative.js').Offer[]>}
 */
export async function gvisor(interpreters, directory, signal) {
  const own = join(directory, 'runsc')
  const runsc = existsSync(own) ? own : 'runsc'
  let problem = ''
  for (const platform of PLATFORMS) {
    const root = process.getuid?.() === 0 ? [] : ['--rootless']
    const wall = [runsc, ...root, `--platform=${platform}`, '--network=none', '--ignore-cgroups', 'do', '--']
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(TRIAL_LIMIT_MS)])
      const answer = await outputOf([...wall, '/bin/echo', TRIAL_WORD], limit)
      if (answer !== `${TRIAL_WORD}\n`) throw new Error(`its trial run printed ${JSON.stringify(answer)}`)
      // What `do` runs keeps no stdin open for us, so there are no sessions.
      return interpreters.map((one) =>
        offer({ ...one, session: undefined }, `${one.name} in gVisor (${platform})`, wall),
      )
    } catch (error) {
      if (signal.aborted) throw error
      problem ||= String(error instanceof Error ? error.message : error)
    }
  }
  const missing = problem.includes('ENOENT')
  const why = missing ? 'runsc is not installed' : `runsc does not run here: ${problem.trim().split('\n').at(-1)}`
  return [{ name: 'gVisor', unavailable: why }]
}
