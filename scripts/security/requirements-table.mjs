/**
 * A row of docs/requirements.md.
 *
 * @typedef {{ id: string, state: string, proof: string }} Row
 */

/**
 * The rows of a table of requirements, in order.
 *
 * @param {string} markdown
 * @returns {Row[]}
 */
export function rowsOf(markdown) {
  return [...markdown.matchAll(/^\| *([A-Z]\d\d) *\|([^|]*)\|((?:\\\||[^|])*)\|/gm)].map((match) => ({
    id: match[1] ?? '',
    state: (match[2] ?? '').trim(),
    proof: (match[3] ?? '').trim().replaceAll('\\|', '|'),
  }))
}

/**
 * The tests that a row names. One that is not written as a proof has no path and no title, but its text.
 *
 * @param {Row} row
 * @returns {{ text: string, path?: string, title?: string }[]}
 */
export function proofsOf({ proof }) {
  if (proof === '') return []
  return proof.split(/; (?=\S+ › ")/).map((text) => {
    const [, path, title] = /^(\S+) › "(.+)"$/.exec(text) ?? []
    return path === undefined || title === undefined ? { text } : { text, path, title }
  })
}
