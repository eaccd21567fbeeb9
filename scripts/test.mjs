// `npm test`: sets up what is missing, runs every check and every test, and counts them.
import { bootstrap, main, ROOT } from './bootstrap.mjs'
import { Failure } from './bootstrap/failure.mjs'
import { bold, dim, duration, green, red, say } from './bootstrap/report.mjs'
import { cargoStep, checkStep, vitestStep } from './test-steps.mjs'

/** Every step of the suite, in the order of how soon it can tell something. */
function steps() {
  return [
    { group: 'check', ...checkStep('format', 'biome', ['format', '.']) },
    { group: 'check', ...checkStep('lint', 'oxlint', ['--type-aware', '--deny-warnings']) },
    { group: 'check', ...checkStep('types: product', 'tsc', ['-b']) },
    { group: 'check', ...checkStep('types: tests', 'tsc', ['-p', 'tsconfig.test.json']) },
    { group: 'unit', ...vitestStep('unit tests', ['--project', 'unit', '--project', 'process']) },
    { group: 'rust', ...cargoStep('cargo fmt', ['fmt', '--check']) },
    { group: 'rust', ...cargoStep('cargo clippy', ['clippy', '--locked', '--all-targets', '--', '-D', 'warnings']) },
    { group: 'rust', ...cargoStep('cargo test', ['test', '--locked']) },
    { group: 'vm', ...vitestStep('tests in real VMs', ['--project', 'vm', '--project', 'vm-alone']) },
  ]
}

const GROUPS = ['check', 'unit', 'rust', 'vm']

function chosenGroups(args) {
  const chosen = args.map((argument) => argument.replace(/^--/, ''))
  const unknown = chosen.filter((group) => !GROUPS.includes(group))
  if (unknown.length > 0) {
    throw new Failure(
      `unknown: ${unknown.join(' ')}\nusage: npm test [-- ${GROUPS.map((g) => `[--${g}]`).join(' ')}]`,
      2,
    )
  }
  return chosen.length === 0 ? GROUPS : chosen
}

await main(async () => {
  const groups = chosenGroups(process.argv.slice(2))
  say(bold('exec-sandbox: setting up'))
  await bootstrap({ lint: groups.includes('rust'), image: groups.includes('vm') })
  const results = []
  for (const step of steps().filter(({ group }) => groups.includes(group))) {
    say()
    say(bold(step.name))
    const started = performance.now()
    const counts = await step.run(ROOT)
    results.push({ name: step.name, ...counts })
    say(line({ name: step.name, ...counts }) + dim(`, ${duration(performance.now() - started)}`))
  }
  return summary(results)
})

function line({ name, passed, failed }) {
  return `${failed === 0 ? green('✓') : red('✗')} ${name}: ${passed} passed, ${failed} failed`
}

function summary(results) {
  const passed = results.reduce((sum, result) => sum + result.passed, 0)
  const failed = results.reduce((sum, result) => sum + result.failed, 0)
  say()
  say(bold('Summary'))
  for (const result of results) say(line(result))
  // The last line is read by programs: plain, whatever the terminal.
  say(`${passed} passed, ${failed} failed`)
  return failed === 0 && passed > 0 ? 0 : 1
}
