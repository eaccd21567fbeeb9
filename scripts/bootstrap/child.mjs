import { spawn } from 'node:child_process'
import { constants } from 'node:os'

/** Children that run at this moment, so that an interrupt reaches every one of them. */
const running = new Set()
let interruptedBy

/**
 * Makes SIGINT, SIGTERM and SIGHUP end the running children first and this process after them. A terminal's Ctrl-C
 * reaches the children by itself; a signal sent to this process alone does not, so it is passed on in both cases.
 */
export function endChildrenOnInterrupt() {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (interruptedBy !== undefined || running.size === 0) process.exit(exitCodeOf(signal))
      interruptedBy = signal
      for (const child of running) child.kill(signal)
    })
  }
}

/**
 * Runs a program to its end. Its stdin is empty, its stderr is ours.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, stdout?: 'show' | 'capture' | 'tee', stderr?: 'show' | 'drop' }} [options]
 *   `capture` returns stdout in the result, `tee` shows it as well.
 * @returns {Promise<{ code: number, stdout: string }>} `code` is 128 + n after a signal and 127 when there is no such program.
 */
export function run(command, args, options = {}) {
  const { cwd, env = process.env, stdout = 'show', stderr = 'show' } = options
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ['ignore', stdout === 'show' ? 'inherit' : 'pipe', stderr === 'show' ? 'inherit' : 'ignore'],
    })
    running.add(child)
    const chunks = []
    child.stdout?.on('data', (chunk) => {
      chunks.push(chunk)
      if (stdout === 'tee') process.stdout.write(chunk)
    })
    const finish = (code) => {
      running.delete(child)
      if (interruptedBy !== undefined) {
        if (running.size === 0) process.exit(exitCodeOf(interruptedBy))
        return
      }
      resolve({ code, stdout: Buffer.concat(chunks).toString('utf8') })
    }
    child.once('error', (error) => finish(error.code === 'ENOENT' ? 127 : 126))
    child.once('close', (code, signal) => finish(code ?? exitCodeOf(signal)))
  })
}

function exitCodeOf(signal) {
  return 128 + (constants.signals[signal] ?? 0)
}
