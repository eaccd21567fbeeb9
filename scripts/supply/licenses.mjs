import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Someone else's work that is part of what users get.
 *
 * @typedef {{ name: string, version: string, license: string }} Part
 */

/** Licences under which parts may be taken in: permissive, and compatible with the product's own. */
export const ALLOWED = [
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
  'Unicode-3.0',
  'Zlib',
]

/**
 * The npm packages that are installed with the product.
 *
 * @param {string} root
 * @returns {Part[]}
 */
export function npmParts(root) {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  return Object.entries(packages)
    .filter(([path, entry]) => path !== '' && !entry.dev && !entry.devOptional && !entry.peer)
    .map(([path, { version }]) => {
      const manifest = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'))
      return { name: manifest.name, version, license: String(manifest.license ?? 'none') }
    })
    .toSorted(byName)
}

/**
 * The crates that are compiled into the agent.
 *
 * @param {string} root
 * @returns {Part[]}
 */
export function crateParts(root) {
  const options = [
    'tree',
    '--locked',
    '--edges',
    'normal',
    '--target',
    'x86_64-unknown-linux-gnu',
    '--prefix',
    'none',
    '--format',
    '{p}|{l}',
  ]
  const text = execFileSync('cargo', options, { cwd: join(root, 'guest', 'agent'), encoding: 'utf8' })
  const lines = new Set(text.split('\n').filter((line) => line !== '' && !line.includes('(/')))
  const parts = [...lines]
    .map((line) => /^(\S+) v(\S+?)(?: \(.*\))?\|(.*?)(?: \(\*\))?$/.exec(line))
    .filter((match) => match !== null)
    .map(([, name, version, license]) => ({ name, version, license }))
  // A procedural macro is in the tree twice: with its crates and as a reference to them.
  return [...new Map(parts.map((part) => [`${part.name} ${part.version}`, part])).values()].toSorted(byName)
}

/**
 * Whether one of the licences offered is allowed: `MIT OR Apache-2.0`, also with AND and parentheses.
 *
 * @param {string} expression
 */
export function isAllowed(expression) {
  const offers = expression.replaceAll('/', ' OR ').split(/\s+OR\s+/)
  return offers.some((offer) =>
    offer
      .split(/\s+AND\s+/)
      .map((name) => name.replace(/[()]/g, '').trim())
      .every((name) => ALLOWED.includes(name) || ALLOWED.includes(name.replace(/ WITH .*/, ''))),
  )
}

/**
 * @param {string} root
 */
export function renderLicenses(root) {
  const table = (parts) =>
    [
      '| part | version | licence |',
      '|---|---|---|',
      ...parts.map(({ name, version, license }) => `| ${name} | ${version} | ${license} |`),
    ].join('\n')
  return `# Licences of third parties

What comes with the product and was written by others. Made by \`node scripts/licenses.mjs\`; a test compares. The parts of the image (Debian's packages, the kernel, QEMU, Bun, uv) are
built or fetched on the user's machine and not distributed here; \`sbx image sbom\` lists them, and Debian's licence files stay in the image.

## npm packages

${table(npmParts(root))}

## Crates of the agent

Compiled on the user's machine into the program that is PID 1 of the guest.

${table(crateParts(root))}
`
}

function byName(a, b) {
  return a.name < b.name ? -1 : 1
}
