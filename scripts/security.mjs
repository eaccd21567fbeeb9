// `npm run test:security`: every test that docs/requirements.md names for the rows of A and B, on each accelerator that works
// here. `-- A06` for one row.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bootstrap, CLI, main, ROOT } from './bootstrap.mjs'
import { run } from './bootstrap/child.mjs'
import { Failure } from './bootstrap/failure.mjs'
import { bold, duration, say } from './bootstrap/report.mjs'
import { keyOf, planSecurity, proofsAt, titlePattern } from './security/plan.mjs'
import { rowsOf } from './security/requirements-table.mjs'
import { cargoOutcome, tableOf, vitestOutcomes } from './security/results.mjs'

/** Which accelerators work here, as the product sees it, and its reason. */
async function findAccelerators() {
  // What somebody wishes is not what works.
  const { EXEC_SANDBOX_ACCELERATOR: _wished, ...env } = process.env
  const { stdout } = await run(process.execPath, [CLI, 'doctor', '--json'], { cwd: ROOT, env, stdout: 'capture' })
  const fact = JSON.parse(stdout).facts.find(({ id }) => id === 'accelerator')
  const [, name, reason] = /^(kvm|tcg): (.*)$/s.exec(fact?.detail ?? '') ?? []
  if (name === undefined) throw new Failure(`VMs cannot run here: ${fact?.detail ?? 'sbx doctor says nothing'}`)
  return { accelerators: name === 'kvm' ? ['kvm', 'tcg'] : ['tcg'], reason }
}

/** Runs the tests of one place; their outcomes by name. */
async function runAt(place, proofs) {
  const env = place === 'host' ? process.env : { ...process.env, EXEC_SANDBOX_ACCELERATOR: place }
  const of = (runner) => proofs.filter((proof) => proof.runner === runner)
  const outcomes = new Map(await runVitest(of('vitest'), env))
  for (const proof of of('cargo')) outcomes.set(keyOf(proof), await runCargo(proof, env))
  return outcomes
}

async function runVitest(proofs, env) {
  if (proofs.length === 0) return []
  const directory = mkdtempSync(join(tmpdir(), 'exec-sandbox-report-'))
  const report = join(directory, 'vitest.json')
  try {
    const files = [...new Set(proofs.map(({ path }) => path))]
    const names = proofs.map(({ title }) => titlePattern(title)).join('|')
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
    await run(join(ROOT, 'node_modules', '.bin', 'vitest'), ['run', ...files, '-t', names, ...reporters], {
      cwd: ROOT,
      env,
    })
    return vitestOutcomes(proofs, existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : undefined, ROOT)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function runCargo({ title }, env) {
  const args = ['test', '--locked', title]
  const { code, stdout } = await run('cargo', args, { cwd: join(ROOT, 'guest', 'agent'), env, stdout: 'tee' })
  return cargoOutcome(code, stdout)
}

/** The plan for the rows that were asked for; a wrong question is a failure before anything runs. */
function planned(accelerators) {
  const chosen = process.argv.slice(2)
  try {
    return planSecurity(rowsOf(readFileSync(join(ROOT, 'docs', 'requirements.md'), 'utf8')), accelerators, chosen)
  } catch (error) {
    if (error instanceof RangeError) throw new Failure(`${error.message}\nusage: npm run test:security [-- A06 …]`, 2)
    throw error
  }
}

await main(async () => {
  planned(['tcg'])
  say(bold('exec-sandbox: setting up'))
  await bootstrap({ lint: true })
  const { accelerators, reason } = await findAccelerators()
  const plan = planned(accelerators)
  const outcomes = new Map()
  for (const place of plan.places) {
    const proofs = proofsAt(plan, place)
    const started = performance.now()
    say()
    say(bold(place === 'host' ? 'tests without VMs' : `tests in VMs on ${place}`))
    outcomes.set(place, await runAt(place, proofs))
    say(`${proofs.length} tests, ${duration(performance.now() - started)}`)
  }
  const { lines, passed, failed, missing } = tableOf(plan, outcomes)
  say()
  say(bold('What is promised, and what attacked it'))
  for (const line of lines) say(line)
  say()
  say(accelerators.includes('kvm') ? 'kvm and tcg' : `kvm: not run, as it does not work here: ${reason}`)
  say(`without a proof: ${missing.length === 0 ? 'none' : missing.join(' ')}`)
  say(`${passed} passed, ${failed} failed`)
  return failed === 0 && passed > 0 ? 0 : 1
})
