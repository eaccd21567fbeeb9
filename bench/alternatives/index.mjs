// @ts-check
import { join } from 'node:path'
import { resolvePaths } from '../../dist/host/index.js'
import { findInterpreters } from './interpreters.mjs'
import { bubblewrapped, plainProcesses } from './processes.mjs'
import { pyodideWorker } from './pyodide.mjs'
import { gvisor } from './runsc.mjs'

/**
 * What a user might pick instead, as far as it runs here.
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 * @returns {Promise<readonly import('../../dist/cli/bench/alternative.js').Offer[]>}
 */
export async function findAlternatives(env, signal) {
  const directory = join(resolvePaths(env).cacheDir, 'bench')
  const { found, missing } = await findInterpreters(signal)
  return [
    ...missing.map((name) => ({ name, unavailable: 'it is not installed' })),
    ...plainProcesses(found),
    ...(await bubblewrapped(found, env)),
    await pyodideWorker(join(directory, 'pyodide'), signal),
    ...(await gvisor(found, join(directory, 'bin'), signal)),
  ]
}
