import { proofsOf } from './requirements-table.mjs'

/**
 * A test to run: `runner` says with what, `on` on what.
 *
 * @typedef {{ path: string, title: string, runner: 'vitest' | 'cargo' }} Proof
 * @typedef {'host' | 'kvm' | 'tcg'} Place `host` is where no VM is started: once is enough.
 * @typedef {{ id: string, checks: { proof: Proof, place: Place }[], missing: string | undefined }} PlannedRow
 * @typedef {{ rows: PlannedRow[], places: Place[] }} Plan
 */

/** Where tests stand that start VMs. */
const VMS = /^test\/(?:vm|long)\//

/**
 * Which tests of which rows are run where. Every row of A and B is in the plan: one that is not proven yet says so, and one whose
 * proof nobody can run is an error.
 *
 * @param {import('./requirements-table.mjs').Row[]} rows
 * @param {readonly ('kvm' | 'tcg')[]} accelerators
 * @param {readonly string[]} [chosen] ids; none means all
 * @returns {Plan}
 */
export function planSecurity(rows, accelerators, chosen = []) {
  const known = rows.filter(({ id }) => /^[AB]\d\d$/.test(id))
  const unknown = chosen.filter((id) => !known.some((row) => row.id === id))
  if (unknown.length > 0) throw new RangeError(`no row of A or B: ${unknown.join(' ')}`)
  if (accelerators.length === 0) throw new RangeError('no accelerator works here')
  const planned = known
    .filter(({ id }) => chosen.length === 0 || chosen.includes(id))
    .map((row) => planRow(row, accelerators))
  const places = ['host', ...accelerators].filter((place) =>
    planned.some(({ checks }) => checks.some((check) => check.place === place)),
  )
  return { rows: planned, places }
}

/** @returns {PlannedRow} */
function planRow(row, accelerators) {
  if (row.state !== 'done') return { id: row.id, checks: [], missing: row.state }
  const checks = proofsOf(row).flatMap(({ text, path, title }) => {
    const runner = path === undefined ? undefined : runnerOf(path)
    if (runner === undefined) throw new RangeError(`${row.id}: nothing here can run ${text}`)
    const places = VMS.test(path) ? accelerators : ['host']
    return places.map((place) => ({ proof: { path, title, runner }, place }))
  })
  if (checks.length === 0) throw new RangeError(`${row.id}: done without a proof`)
  return { id: row.id, checks, missing: undefined }
}

function runnerOf(path) {
  if (path.endsWith('.test.ts')) return 'vitest'
  return path.startsWith('guest/agent/') && path.endsWith('.rs') ? 'cargo' : undefined
}

/**
 * The tests of one place, each once however many rows name it.
 *
 * @param {Plan} plan
 * @param {Place} place
 * @returns {Proof[]}
 */
export function proofsAt(plan, place) {
  const proofs = plan.rows.flatMap(({ checks }) => checks.filter((check) => check.place === place))
  return [...new Map(proofs.map(({ proof }) => [keyOf(proof), proof])).values()]
}

/** @param {Proof} proof */
export function keyOf({ path, title }) {
  return `${path} › ${title}`
}

/**
 * A pattern for the name that a test has when it runs: `%s`, `$name` and the like stand for whatever a case put there.
 *
 * @param {string} title
 */
export function titlePattern(title) {
  return title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/%[sdifjo#]|\\\$\w+(?:\\\.\w+)*/g, '.*')
}
