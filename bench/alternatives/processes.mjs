// @ts-check
import { findBubblewrap } from '../../dist/host/index.js'
import { openLineSession, outputOf } from './child.mjs'

/** @typedef {import('../../dist/cli/bench/alternative.js').Offer} Offer */
/** @typedef {import('./interpreters.mjs').Interpreter} Interpreter */

/**
 * Interpreters as plain processes of the host: no wall at all.
 * @param {readonly Interpreter[]} interpreters
 * @returns {readonly Offer[]}
 */
export function plainProcesses(interpreters) {
  return interpreters.map((interpreter) => offer(interpreter, `plain ${interpreter.name} process`, []))
}

/**
 * Interpreters in namespaces of their own, with the host's kernel behind them.
 * @param {readonly Interpreter[]} interpreters
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<readonly Offer[]>}
 */
export async function bubblewrapped(interpreters, env) {
  const fact = await findBubblewrap(env)
  if (fact.state !== 'usable') return [{ name: 'bubblewrap', unavailable: fact.reason }]
  return interpreters.map((interpreter) => {
    const binds = ['/usr', ...interpreter.directories].flatMap((path) => ['--ro-bind', path, path])
    const links = ['bin', 'lib', 'lib64', 'sbin'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`])
    const fresh = ['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp']
    const apart = ['--unshare-all', '--die-with-parent', '--new-session', '--clearenv']
    const wall = [fact.path, ...binds, ...links, ...fresh, ...apart]
    return offer(interpreter, `${interpreter.name} in bubblewrap`, wall)
  })
}

/**
 * @param {Interpreter} interpreter
 * @param {string} name
 * @param {readonly string[]} wall what stands before the interpreter on the command line
 * @returns {Offer}
 */
export function offer(interpreter, name, wall) {
  const { language, file, once, session } = interpreter
  return {
    alternative: {
      name,
      language,
      runOnce: async (code, signal) => await outputOf([...wall, file, ...once(code)], signal),
      ...(session === undefined
        ? {}
        : { openSession: async (signal) => await openLineSession([...wall, file, ...session], signal) }),
    },
  }
}
