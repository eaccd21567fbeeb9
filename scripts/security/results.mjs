import { keyOf, titlePattern } from './plan.mjs'

/**
 * What became of a test in one place. `cases` is how many of that name ran; a name that nothing had, and a case that was
 * skipped, is a failure: it proved nothing.
 *
 * @typedef {{ passed: boolean, cases: number, why: string }} Outcome
 */

/**
 * The outcome of each proof, out of vitest's JSON report.
 *
 * @param {readonly import('./plan.mjs').Proof[]} proofs
 * @param {{ testResults: { name: string, assertionResults: { title: string, status: string }[] }[] } | undefined} report
 * @param {string} root
 * @returns {Map<string, Outcome>}
 */
export function vitestOutcomes(proofs, report, root) {
  return new Map(proofs.map((proof) => [keyOf(proof), vitestOutcome(proof, report, root)]))
}

function vitestOutcome({ path, title }, report, root) {
  if (report === undefined) return { passed: false, cases: 0, why: 'vitest left no report' }
  const name = new RegExp(`^${titlePattern(title)}$`)
  const file = report.testResults.filter((result) => result.name.replace(`${root.replace(/\/$/, '')}/`, '') === path)
  const cases = file.flatMap(({ assertionResults }) => assertionResults.filter((each) => name.test(each.title)))
  if (cases.length === 0) return { passed: false, cases: 0, why: 'no test of that name ran' }
  const bad = cases.filter(({ status }) => status !== 'passed')
  const why = [...new Set(bad.map(({ status }) => (status === 'failed' ? 'failed' : `not run (${status})`)))].join(', ')
  return { passed: bad.length === 0, cases: cases.length, why }
}

/**
 * The outcome of one Rust test, out of what `cargo test` printed.
 *
 * @param {number} code
 * @param {string} stdout
 * @returns {Outcome}
 */
export function cargoOutcome(code, stdout) {
  let [passed, failed] = [0, 0]
  for (const match of stdout.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm)) {
    passed += Number(match[1])
    failed += Number(match[2]) + Number(match[3])
  }
  if (passed + failed === 0) return { passed: false, cases: 0, why: 'no test of that name ran' }
  return { passed: code === 0 && failed === 0, cases: passed + failed, why: failed > 0 ? 'failed' : '' }
}

/**
 * The table: row → test → result per place.
 *
 * @param {import('./plan.mjs').Plan} plan
 * @param {Map<string, Map<string, Outcome>>} outcomes by place, then by test
 * @returns {{ lines: string[], passed: number, failed: number, missing: string[] }}
 */
export function tableOf(plan, outcomes) {
  let [passed, failed] = [0, 0]
  const lines = plan.rows.flatMap((row) => {
    if (row.missing !== undefined) return [`${row.id}  – no proof yet`]
    const proofs = [...new Map(row.checks.map(({ proof }) => [keyOf(proof), proof])).values()]
    return proofs.map((proof) => {
      const cells = row.checks
        .filter((check) => keyOf(check.proof) === keyOf(proof))
        .map(({ place }) => {
          const outcome = outcomes.get(place)?.get(keyOf(proof)) ?? { passed: false, cases: 0, why: 'never run' }
          if (outcome.passed) passed++
          else failed++
          return `${place} ${outcome.passed ? '✓' : `✗ ${outcome.why}`}${outcome.cases > 1 ? ` (${outcome.cases} cases)` : ''}`
        })
      return `${row.id}  ${cells.join('  ')}  ${keyOf(proof)}`
    })
  })
  return { lines, passed, failed, missing: plan.rows.flatMap(({ id, missing }) => (missing === undefined ? [] : [id])) }
}
