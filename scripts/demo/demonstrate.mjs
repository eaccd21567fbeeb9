import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { CLI, ROOT } from '../bootstrap.mjs'
import { run } from '../bootstrap/child.mjs'
import { bold, dim, duration, green, red, say } from '../bootstrap/report.mjs'

/** The programs of the demonstration; each runs in a VM of its own. */
const PROGRAMS = [
  { language: 'python', file: 'primes.py' },
  { language: 'javascript', file: 'mandelbrot.ts' },
  { language: 'bash', file: 'machine.sh' },
]

/**
 * Runs the programs through the command line and through the library, and a session that survives its own faults.
 *
 * @returns {Promise<number>} the exit code: 0 when everything did what it should
 */
export async function demonstrate() {
  const failures = []
  for (const program of PROGRAMS) {
    if (!(await throughCommandLine(program))) failures.push(`sbx run ${program.file}`)
  }
  const { Scheduler } = await import('exec-sandbox')
  const scheduler = new Scheduler()
  try {
    for (const program of PROGRAMS) {
      if (!(await throughLibrary(scheduler, program))) failures.push(`Scheduler.run ${program.file}`)
    }
    failures.push(...(await session(scheduler)))
  } finally {
    await scheduler.close()
  }
  say()
  if (failures.length > 0) {
    for (const failure of failures) say(`${red('✗')} ${failure}`)
    return 1
  }
  say(
    `${green('✓')} ${bold('it works.')} Next: ${bold(`echo 'print(6*7)' | node dist/cli/main.js run -l python -`)}, and README.md`,
  )
  return 0
}

const pathOf = (program) => fileURLToPath(new URL(program.file, import.meta.url))

async function throughCommandLine(program) {
  heading(`sbx run scripts/demo/${program.file}`)
  const started = performance.now()
  const { code } = await run(process.execPath, [CLI, 'run', pathOf(program)], { cwd: ROOT })
  say(dim(`  exit ${code}, ${duration(performance.now() - started)} from nothing to the end, in a VM of its own`))
  return code === 0
}

async function throughLibrary(scheduler, program) {
  heading(`await scheduler.run(source, { language: '${program.language}' })`)
  const result = await scheduler.run(readFileSync(pathOf(program), 'utf8'), {
    language: program.language,
    onStdout: (text) => process.stdout.write(text),
    onStderr: (text) => process.stderr.write(text),
  })
  say(dim(`  exit ${result.exitCode} (${result.reason}), ${result.source}: ${timings(result.timing)}`))
  return result.exitCode === 0
}

/** Steps of one session: what each call must print and how it must end, so that a wrong answer fails the demonstration. */
const SESSION = [
  { code: 'import math; x = math.factorial(30)', stdout: '', exitCode: 0 },
  { code: 'print(f"30! has {len(str(x))} digits, and x is still here")', stdout: /^30! has 33 digits/, exitCode: 0 },
  { code: 'while True: pass', stdout: '', exitCode: 124, timeoutMs: 1000 },
  { code: 'import os; os._exit(42)', stdout: '', exitCode: 42 },
  { code: 'print("the sandbox lives on")', stdout: /^the sandbox lives on\n$/, exitCode: 0 },
]

async function session(scheduler) {
  const failures = []
  heading(`await scheduler.create({ language: 'python' })`)
  const sandbox = await scheduler.create({ language: 'python' })
  try {
    for (const { code, stdout, exitCode, timeoutMs } of SESSION) {
      say(`>>> ${code}`)
      const result = await sandbox.runCode(code, timeoutMs === undefined ? {} : { timeoutMs })
      process.stdout.write(result.stdout)
      say(dim(`  exit ${result.exitCode} (${result.reason}), ${timings(result.timing)}`))
      const matches = typeof stdout === 'string' ? result.stdout === stdout : stdout.test(result.stdout)
      if (!matches || result.exitCode !== exitCode) failures.push(`runCode(${JSON.stringify(code)})`)
    }
  } finally {
    await sandbox.close()
  }
  return failures
}

function heading(text) {
  say()
  say(bold(text))
}

/** The phases that were measured, e.g. "boot 1.2 s, execute 14 ms". */
function timings(timing) {
  return Object.entries(timing)
    .filter(([, ms]) => typeof ms === 'number')
    .map(([phase, ms]) => `${phase.replace(/Ms$/, '')} ${duration(ms)}`)
    .join(', ')
}
