// @ts-check
// What a soak does, and what has to come of it: each operation checks its own result.
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { qemusWith } from './holdings.mjs'

/** @typedef {import('../../dist/index.js').Scheduler} Scheduler */
/** @typedef {{ readonly scheduler: Scheduler, readonly scratch: string, readonly index: number, readonly random: (below: number) => number, readonly signal: AbortSignal, readonly outcome: (name: string) => void }} Turn */
/** @typedef {{ readonly name: string, readonly weight: number, readonly run: (turn: Turn) => Promise<void> }} Operation */

/** Programs that print their number. */
const ECHO = {
  bash: (/** @type {number} */ n) => `echo ${n}`,
  python: (/** @type {number} */ n) => `print(${n})`,
  javascript: (/** @type {number} */ n) => `console.log(${n})`,
}
/** By this much memory, which nothing else asks for, the QEMU that is to be killed is known. */
export const VICTIM_MB = 320

/** One at a time: two would kill each other's VMs. */
let killing = Promise.resolve()

/**
 * @param {unknown} condition
 * @param {unknown} what
 * @returns {asserts condition}
 */
function check(condition, what) {
  if (!condition) throw new Error(`unexpected: ${typeof what === 'string' ? what : JSON.stringify(what)}`)
}

/**
 * @param {Promise<unknown>} promise
 * @param {string} code
 * @param {Turn} turn
 */
async function rejects(promise, code, turn) {
  const error = await promise.then(
    (value) => new Error(`no error: ${JSON.stringify(value)}`),
    (reason) => reason,
  )
  // The end of the soak is no fault of the operation.
  turn.signal.throwIfAborted()
  check(error?.code === code || error?.message === code, `${error} instead of ${code}`)
  turn.outcome(code)
}

/** @param {keyof typeof ECHO} language @returns {Operation['run']} */
function echo(language) {
  return async ({ scheduler, index, signal, outcome }) => {
    const result = await scheduler.run(ECHO[language](index), { language, signal })
    check(result.stdout === `${index}\n` && result.exitCode === 0, result)
    outcome(result.source)
  }
}

/** @param {Turn} turn */
async function exitCode({ scheduler, random, signal, outcome }) {
  const code = 1 + random(100)
  const result = await scheduler.run(`exit ${code}`, { language: 'bash', signal })
  check(result.exitCode === code && result.reason === 'exit', result)
  outcome(`exit by ${result.reason}`)
}

/** @param {Turn} turn */
async function failing({ scheduler, signal, outcome }) {
  const result = await scheduler.run('1 / 0', { language: 'python', signal })
  check(result.error?.name === 'ZeroDivisionError' && result.exitCode === 1, result)
  outcome('error of the program')
}

/** @param {Turn} turn */
async function files({ scheduler, scratch, index, random, signal, outcome }) {
  const place = join(scratch, `out-${index}`)
  const content = 'x'.repeat(1 + random(200_000))
  const options = { language: 'bash', files: { in: content }, downloads: { out: place }, signal }
  const result = await scheduler.run('cat in in > out', options)
  check(result.downloads[0]?.copy?.bytes === 2 * content.length, result.downloads)
  check((await readFile(place, 'utf8')) === content + content, 'other content')
  await rm(place)
  outcome('files up and down')
}

/** @param {Turn} turn */
async function streamed({ scheduler, signal, outcome }) {
  let length = 0
  const onStdout = async (/** @type {string} */ text) => {
    length += text.length
  }
  await scheduler.run('yes 0123456 | head -c 300000', { language: 'bash', onStdout, signal })
  check(length === 300_000, `${length} characters`)
  outcome('streamed')
}

/** @param {Turn} turn */
async function session(turn) {
  const { scheduler, index, signal, outcome } = turn
  const sandbox = await scheduler.create({ language: 'python', signal })
  try {
    await sandbox.runCode(`x = ${index}`, { signal })
    await sandbox.runCode('x = "other"', { context: 'second', signal })
    const results = [
      await sandbox.runCode('print(x)', { signal }),
      await sandbox.runCode('print(x)', { context: 'second', signal }),
    ]
    check(results.map(({ stdout }) => stdout).join('') === `${index}\nother\n`, results)
    const content = Buffer.alloc(50_000, index % 251)
    await sandbox.files.write('a/b', content)
    check(content.equals(await sandbox.files.read('a/b', { format: 'bytes' })), 'other content')
    check((await sandbox.commands.run(['cat'], { stdin: 'through' })).stdout === 'through', 'nothing through')
    await rejects(sandbox.files.read('not/there'), 'FILE', turn)
    outcome('session')
  } finally {
    await sandbox.close()
  }
  await rejects(sandbox.runCode('1'), 'SANDBOX_CLOSED', turn)
}

/** @param {Turn} turn */
async function port({ scheduler, signal, outcome }) {
  const sandbox = await scheduler.create({ language: 'python', ports: [8000], signal })
  try {
    const server = await sandbox.commands.start([
      'python3',
      '-uc',
      "import socket\ns = socket.create_server(('127.0.0.1', 8000))\nprint('on')\nc, _ = s.accept()\nc.sendall(c.recv(9)[::-1])\nc.close()",
    ])
    for await (const { data } of server.output) if (data.includes('on')) break
    const [exposed] = sandbox.ports.list()
    const socket = connect(exposed?.host ?? 0, '127.0.0.1')
    socket.end('abc')
    let text = ''
    socket.on('data', (data) => {
      text += data
    })
    await once(socket, 'close', { signal })
    check(text === 'cba', text)
    outcome('port')
  } finally {
    await sandbox.close()
  }
}

/** @param {Turn} turn */
async function aborted(turn) {
  const controller = new AbortController()
  const onStdout = () => controller.abort()
  const options = { language: 'bash', onStdout, signal: controller.signal }
  await rejects(turn.scheduler.run('echo up; sleep 60', options), 'ABORTED', turn)
}

/** Somewhere in the launch, the run or its end. @param {Turn} turn */
async function abortedAnywhere({ scheduler, random, outcome }) {
  const signal = AbortSignal.timeout(1 + random(200))
  const language = random(2) === 0 ? 'bash' : 'python'
  try {
    await scheduler.run(ECHO[language](1), { language, signal })
    outcome('done before the abort')
  } catch (reason) {
    check(reason instanceof Error && Reflect.get(reason, 'code') === 'ABORTED', String(reason))
    outcome('ABORTED')
  }
}

/** @param {Turn} turn */
async function callback(turn) {
  const onStderr = () => {
    throw new Error('mine')
  }
  await rejects(turn.scheduler.run('echo up >&2; sleep 60', { language: 'bash', onStderr }), 'mine', turn)
}

/** @param {Turn} turn */
async function timeout({ scheduler, signal, outcome }) {
  const result = await scheduler.run('sleep 60', { language: 'bash', timeoutMs: 1_000, signal })
  check(result.reason === 'timeout' && result.exitCode === 124, result)
  outcome('exit by timeout')
}

/** @param {Turn} turn */
async function memory({ scheduler, signal, outcome }) {
  const code = 'import os\nheld = []\nwhile True: held.append(os.urandom(1 << 20))'
  const result = await scheduler.run(code, { language: 'python', memoryMb: 128, timeoutMs: 100_000, signal })
  check(result.reason === 'memory' && result.exitCode === 137, result)
  outcome('exit by memory')
}

/** @param {number} pid may have ended: the processes of one jail end with each other */
function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (!(error instanceof Error) || Reflect.get(error, 'code') !== 'ESRCH') throw error
  }
}

/** @param {Turn} turn */
async function killed(turn) {
  const mine = killing.then(async () => {
    const sandbox = await turn.scheduler.create({ language: 'bash', memoryMb: VICTIM_MB, signal: turn.signal })
    try {
      const onStdout = async () => {
        for (const pid of await qemusWith(['qemu', `${VICTIM_MB}M`])) kill(pid)
      }
      await rejects(sandbox.runCode('echo up; sleep 60', { onStdout }), 'VM_LOST', turn)
    } finally {
      await sandbox.close()
    }
  })
  killing = mine.catch(() => undefined)
  await mine
}

/** @param {Turn} turn */
async function refused(turn) {
  await rejects(turn.scheduler.run('true', { language: 'bash', files: { '/etc/x': '' } }), 'FILE', turn)
  await rejects(turn.scheduler.run('true', { language: 'cobol' }), 'INVALID_INPUT', turn)
}

/** How often of the sum of the weights. @type {readonly Operation[]} */
export const OPERATIONS = [
  { name: 'run of bash', weight: 30, run: echo('bash') },
  { name: 'run of python', weight: 16, run: echo('python') },
  { name: 'run of javascript', weight: 6, run: echo('javascript') },
  { name: 'exit code', weight: 8, run: exitCode },
  { name: 'error in python', weight: 4, run: failing },
  { name: 'files up and down', weight: 6, run: files },
  { name: 'streamed output', weight: 4, run: streamed },
  { name: 'session', weight: 5, run: session },
  { name: 'exposed port', weight: 2, run: port },
  { name: 'abort while it runs', weight: 5, run: aborted },
  { name: 'abort at any moment', weight: 7, run: abortedAnywhere },
  { name: 'callback that throws', weight: 2, run: callback },
  { name: 'time-out', weight: 2, run: timeout },
  { name: 'memory exhausted', weight: 0.3, run: memory },
  { name: 'QEMU killed', weight: 1.5, run: killed },
  { name: 'refused', weight: 2, run: refused },
]

/**
 * The same choices for the same seed: mulberry32.
 * @param {number} seed
 * @returns {() => number} from 0 up to 1
 */
export function randomOf(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** @param {number} at from 0 up to 1 */
export function pick(at) {
  let left = at * OPERATIONS.reduce((sum, { weight }) => sum + weight, 0)
  for (const operation of OPERATIONS) {
    left -= operation.weight
    if (left < 0) return operation
  }
  throw new RangeError(`a choice lies between 0 and 1, got ${at}`)
}
