// @ts-check
// A host process under test: goes into one phase, says so, and tells how it ended. One line of JSON on stdout for each; commands on stdin.
import { totalmem } from 'node:os'
import { Readable } from 'node:stream'
import { Scheduler } from '../../dist/index.js'

const [phase = '', cacheDir = '', runtimeDir = ''] = process.argv.slice(2)
/** Milliseconds of a program that would run for minutes. */
const PROGRAM_LIMIT_MS = 10_000

/** @param {Record<string, unknown>} fact */
const tell = (fact) => void process.stdout.write(`${JSON.stringify(fact)}\n`)

// The clock of this process jumps; the machine's own is everybody's.
/** @type {() => void} */
let go = () => undefined
/** Resolves when the fault has been done, where it must come before what follows. */
const struck = process.env['CHAOS_WAIT'] === undefined ? Promise.resolve() : new Promise((resolve) => (go = () => resolve(undefined)))

if (phase !== 'bystander') {
  process.stdin.on('data', (text) => {
    if (String(text).includes('go')) go()
    if (!String(text).includes('clock')) return
    const now = Date.now
    Date.now = () => now() + 3_600_000
    tell({ event: 'clock' })
  })
  process.stdin.unref()
}

const admissionTimeoutMs = 10_000
const full = process.env['CHAOS_RESERVE'] !== undefined
const scheduler = new Scheduler({
  cacheDir,
  runtimeDir,
  admissionTimeoutMs,
  // No room for what is asked for: the way in which a full machine shows.
  ...(full ? { reserve: { memory: 0.9 }, overcommit: { memory: 1 }, memoryMb: Math.floor(totalmem() / 5 / 1_048_576), admissionTimeoutMs: 2_000 } : {}),
  ...(phase === 'refill' ? { warmPool: { bash: 1 } } : {}),
})

/** @returns {Promise<unknown>} */
async function once() {
  const { stdout, source } = await scheduler.run('echo $((6 * 7))', { language: 'bash' })
  return { stdout, source }
}

/** @param {(sandbox: Awaited<ReturnType<Scheduler['create']>>) => Promise<unknown>} work */
async function inSession(work) {
  const sandbox = await scheduler.create({ language: 'bash' })
  try {
    return await work(sandbox)
  } finally {
    await sandbox.close()
  }
}

/** @type {Record<string, () => Promise<unknown>>} */
const PHASES = {
  boot: once,
  restore: once,
  save: async () => await scheduler.prepare({ language: 'bash' }),
  refill: async () => {
    await scheduler.ready()
    // The next VM has begun when this one's program runs.
    const onStdout = () => tell({ event: 'reached' })
    await scheduler.run('echo up; sleep 1', { language: 'bash', onStdout })
    return await once()
  },
  run: async () =>
    await inSession(async (sandbox) => {
      const code = process.env['CHAOS_CODE'] ?? 'echo up; sleep 3; echo done'
      const onStdout = () => tell({ event: 'reached' })
      const result = await sandbox.runCode(code, { onStdout, timeoutMs: PROGRAM_LIMIT_MS })
      const after = await sandbox.runCode('echo after', { timeoutMs: PROGRAM_LIMIT_MS })
      return { stdout: result.stdout, reason: result.reason, state: result.state, after: after.stdout }
    }),
  transfer: async () =>
    await inSession(async (sandbox) => {
      const chunk = Buffer.alloc(65_536, 7)
      let pieces = 0
      const source = new Readable({
        highWaterMark: chunk.length,
        read() {
          pieces += 1
          if (pieces === 200) tell({ event: 'reached' })
          this.push(pieces <= 900 ? chunk : null)
        },
      })
      await sandbox.files.write('big', source)
      return await sandbox.files.read('big', { format: 'bytes' }).then((bytes) => ({ bytes: bytes.length }))
    }),
  close: async () => {
    const sandbox = await scheduler.create({ language: 'bash' })
    await sandbox.runCode('echo up')
    if (process.env['CHAOS_WAIT'] !== undefined) {
      process.stdin.ref()
      tell({ event: 'reached' })
      await struck
      process.stdin.unref()
    }
    const closed = sandbox.close()
    tell({ event: 'reached' })
    await closed
    return {}
  },
  // Lives on beside all others and answers whenever it is asked.
  bystander: async () =>
    await inSession(async (sandbox) => {
      tell({ event: 'reached' })
      for await (const line of process.stdin) {
        if (String(line).includes('end')) break
        tell({ outcome: await sandbox.runCode('echo here').then(({ stdout }) => stdout) })
      }
    }),
}

/** @param {any} error */
function describe(error) {
  return { code: error?.code ?? 'none', typed: error?.retryable !== undefined, message: String(error?.message ?? error) }
}

try {
  tell({ outcome: await PHASES[phase]?.() })
} catch (error) {
  tell({ error: describe(error) })
}
try {
  await scheduler.close()
  const { sandboxes, admission } = scheduler.stats()
  tell({ closed: { sandboxes, vms: admission.inUse.vms, waiting: admission.waiting } })
} catch (error) {
  tell({ error: describe(error) })
}
process.exit(0)
