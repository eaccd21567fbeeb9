// @ts-check
// `npm run soak`: mixed load and faults in one process, checked one by one; what the process holds has to stay what it was.
import { openSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { soak } from './soak.mjs'
import { reportOf } from './report.mjs'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    executions: { type: 'string' },
    seed: { type: 'string', default: '1' },
    every: { type: 'string', default: '100' },
    json: { type: 'string' },
    // For the test of the soak itself: what it keeps for good, `descriptor` or `heap`.
    leak: { type: 'string' },
  },
})

/** @param {string} name @param {string} text */
function whole(name, text) {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 0) return number
  process.stderr.write(`--${name} is a whole number, got ${text}\n`)
  return process.exit(2)
}

/** @type {unknown[]} */
const kept = []
const LEAKS = {
  descriptor: (/** @type {number} */ done) => done % 50 === 0 && kept.push(openSync('/dev/null', 'r')),
  heap: () => kept.push(Array.from({ length: 20_000 }, (_, index) => index)),
}
const leak = values.leak === undefined ? undefined : Reflect.get(LEAKS, values.leak)
if (values.leak !== undefined && leak === undefined) throw new RangeError(`--leak is descriptor or heap, got ${values.leak}`)

const interrupt = new AbortController()
for (const name of ['SIGINT', 'SIGTERM']) {
  process.on(name, () => {
    if (interrupt.signal.aborted) process.exit(130)
    interrupt.abort(new Error(`interrupted by ${name}`))
  })
}

const home = await mkdtemp(join(tmpdir(), 'exec-sandbox-soak-'))
const record = await soak({
  // Executions end it alone, when they are given.
  seconds: values.executions === undefined ? whole('seconds', values.seconds) : Infinity,
  executions: values.executions === undefined ? Infinity : whole('executions', values.executions),
  seed: whole('seed', values.seed),
  every: Math.max(1, whole('every', values.every)),
  leak,
  home,
  signal: interrupt.signal,
  say: (line) => process.stdout.write(`${line}\n`),
})
const { text, violations, verdicts } = reportOf(record)
process.stdout.write(text)
if (values.json !== undefined) {
  await writeFile(values.json, `${JSON.stringify({ ...record, verdicts, violations }, undefined, 1)}\n`)
}
await rm(home, { recursive: true, force: true })
// Also when something hangs: nothing is waited for here.
process.exit(interrupt.signal.aborted ? 130 : violations.length === 0 ? 0 : 1)
