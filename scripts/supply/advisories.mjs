/**
 * What is known of one set of packages. `unknown`: nobody could be asked, which is never good news.
 *
 * @typedef {{ what: string, state: 'clean' | 'advisories' | 'unknown', text: string }} Answer
 */

/**
 * Reads the output of `npm audit --json`. A registry that has no such service gives an error in its place.
 *
 * @param {string} output
 * @returns {Answer}
 */
export function judgeNpmAudit(output) {
  const what = 'npm packages'
  const report = parse(output)
  const total = report?.metadata?.vulnerabilities?.total
  if (typeof total !== 'number') {
    const reason = report?.message ?? report?.error?.summary ?? 'npm audit gave no report'
    return { what, state: 'unknown', text: `could not be checked: ${reason}` }
  }
  if (total === 0) return { what, state: 'clean', text: '' }
  const names = Object.entries(report.vulnerabilities ?? {}).map(([name, { severity }]) => `${name} (${severity})`)
  return { what, state: 'advisories', text: `${total} with advisories: ${names.join(', ')}` }
}

/**
 * Reads the output of `cargo audit --json`.
 *
 * @param {string} output
 * @param {string} errors what it wrote to stderr
 * @returns {Answer}
 */
export function judgeCargoAudit(output, errors) {
  const what = 'crates of the agent'
  const report = parse(output)
  const count = report?.vulnerabilities?.count
  if (typeof count !== 'number') {
    const missing = /no such (?:command|subcommand)/i.test(errors)
    const reason = missing ? 'cargo-audit is not installed (cargo install cargo-audit)' : lastLine(errors)
    return { what, state: 'unknown', text: `could not be checked: ${reason}` }
  }
  if (count === 0) return { what, state: 'clean', text: '' }
  const names = report.vulnerabilities.list.map(({ advisory, package: { name } }) => `${name} (${advisory.id})`)
  return { what, state: 'advisories', text: `${count} with advisories: ${names.join(', ')}` }
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function lastLine(text) {
  return text.trim().split('\n').at(-1) || 'no report'
}
