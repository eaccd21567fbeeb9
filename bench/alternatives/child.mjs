// @ts-check
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { descendants, readMemory } from '../../dist/cli/bench/process-facts.js'

/** Bytes of stderr kept to tell what went wrong. */
const STDERR_LIMIT = 2_000

/**
 * Runs a program to its end and gives its output.
 * @param {readonly string[]} command
 * @param {AbortSignal} signal
 * @returns {Promise<string>}
 */
export async function outputOf(command, signal) {
  const [file = '', ...argv] = command
  const child = spawn(file, argv, { stdio: ['ignore', 'pipe', 'pipe'], signal, killSignal: 'SIGKILL' })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr = `${stderr}${text}`.slice(-STDERR_LIMIT)
  })
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, killed) => {
      if (code === 0) resolve(stdout)
      else reject(new Error(`${file} ended with ${code ?? killed}: ${stderr.trim()}`))
    })
  })
}

/**
 * An interpreter that reads `{"code"}` a line at a time from stdin and answers `{"output"}`. It ends with its stdin, and so
 * with this process.
 * @param {readonly string[]} command
 * @param {AbortSignal} signal
 * @returns {Promise<import('../../dist/cli/bench/alternative.js').AlternativeSession>}
 */
export async function openLineSession(command, signal) {
  const [file = '', ...argv] = command
  const child = spawn(file, argv, { stdio: ['pipe', 'pipe', 'ignore'], signal, killSignal: 'SIGKILL' })
  const ended = new Promise((resolve) => {
    child.once('error', resolve)
    child.once('exit', resolve)
  })
  child.stdin.on('error', () => undefined)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    run: async (code) => {
      child.stdin.write(`${JSON.stringify({ code })}\n`)
      const { value, done } = await lines.next()
      if (done === true) throw new Error(`${file} ended`)
      return JSON.parse(value).output
    },
    privateBytes: async () => {
      const pid = child.pid ?? 0
      const pids = [pid, ...(await descendants(pid)).map((fact) => fact.pid)]
      const sizes = await Promise.all(pids.map(async (one) => (await readMemory(one)).anonymous))
      return sizes.reduce((sum, size) => sum + size, 0)
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end()
      child.kill('SIGKILL')
      await ended
    },
  }
}
