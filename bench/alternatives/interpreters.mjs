// @ts-check
import { realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { outputOf } from './child.mjs'

/**
 * An interpreter of the host.
 * @typedef {object} Interpreter
 * @property {import('../../dist/sandbox/index.js').Language} language
 * @property {string} name
 * @property {string} file the program itself, never a wrapper that looks for it
 * @property {readonly string[]} directories what it needs besides /usr, for walls that hide the rest
 * @property {(code: string) => readonly string[]} once arguments that run one program
 * @property {readonly string[] | undefined} session arguments that read programs line by line (`openLineSession`)
 */

const PYTHON_SESSION = `
import io, json, sys
replies = sys.stdout
for line in sys.stdin:
    sys.stdout = io.StringIO()
    exec(compile(json.loads(line)["code"], "<run>", "exec"), {})
    replies.write(json.dumps({"output": sys.stdout.getvalue()}) + "\\n")
    replies.flush()
`

const NODE_SESSION = `
const { runInThisContext } = require('node:vm')
const reply = process.stdout.write.bind(process.stdout)
let output = ''
process.stdout.write = (text) => (output += text, true)
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  output = ''
  runInThisContext(JSON.parse(line).code)
  reply(JSON.stringify({ output }) + '\\n')
})
`

/**
 * Interpreters that this host has.
 * @param {AbortSignal} signal
 * @returns {Promise<{ found: readonly Interpreter[], missing: readonly string[] }>}
 */
export async function findInterpreters(signal) {
  /** @type {Interpreter[]} */
  const found = [
    {
      language: 'javascript',
      name: 'node',
      file: process.execPath,
      directories: [dirname(realpathSync(process.execPath))],
      once: (code) => ['-e', code],
      session: ['-e', NODE_SESSION],
    },
    {
      language: 'bash',
      name: 'bash',
      file: '/bin/bash',
      directories: [],
      once: (code) => ['-c', code],
      session: undefined,
    },
  ]
  const python = await findPython(signal)
  if (python !== undefined) found.unshift(python)
  return { found, missing: python === undefined ? ['python3'] : [] }
}

/**
 * What `python3` runs, which may be a version manager's script: its own search would be measured.
 * @param {AbortSignal} signal
 * @returns {Promise<Interpreter | undefined>}
 */
async function findPython(signal) {
  const ask = 'import sys; print(sys.executable); print(sys.base_prefix)'
  const answer = await outputOf(['python3', '-c', ask], signal).catch(() => '')
  const [file, prefix] = answer.split('\n')
  if (file === undefined || file === '' || prefix === undefined) return undefined
  return {
    language: 'python',
    name: 'python3',
    file,
    directories: [prefix],
    once: (code) => ['-c', code],
    session: ['-c', PYTHON_SESSION],
  }
}
