import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { judgeCargoAudit, judgeNpmAudit } from '../../scripts/supply/advisories.mjs'
import { crateParts, isAllowed, npmParts, renderLicenses } from '../../scripts/supply/licenses.mjs'
import { ROOT } from '../repository/repository.ts'

describe('licences of third parties', () => {
  it('are listed', () => {
    expect(readFileSync(join(ROOT, 'THIRD-PARTY-LICENSES.md'), 'utf8')).toBe(renderLicenses(ROOT))
    expect(npmParts(ROOT).map(({ name }) => name)).toContain('zod')
    expect(crateParts(ROOT).map(({ name }) => name)).toContain('rustix')
  }, 60_000)

  it('are permissive ones', () => {
    const refused = [...npmParts(ROOT), ...crateParts(ROOT)].filter(({ license }) => !isAllowed(license))
    expect(refused).toEqual([])
  }, 60_000)

  it.each([
    ['MIT', true],
    ['MIT OR GPL-3.0', true],
    ['(MIT OR Apache-2.0) AND Unicode-3.0', true],
    ['Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT', true],
    ['GPL-3.0', false],
    ['MIT AND GPL-2.0', false],
    ['none', false],
  ])('%s: %s', (expression, allowed) => {
    expect(isAllowed(expression)).toBe(allowed)
  })
})

describe('advisories', () => {
  const npmReport = (total: number, vulnerabilities = {}): string =>
    JSON.stringify({ vulnerabilities, metadata: { vulnerabilities: { total } } })

  it('are none only when somebody has said so', () => {
    expect(judgeNpmAudit(npmReport(0)).state).toBe('clean')
    expect(judgeCargoAudit('{"vulnerabilities":{"count":0,"list":[]}}', '').state).toBe('clean')
    expect(judgeNpmAudit('')).toMatchObject({ state: 'unknown', text: expect.stringContaining('could not be checked') })
    expect(judgeNpmAudit('{"message":"405 Method Not Allowed"}')).toMatchObject({
      state: 'unknown',
      text: expect.stringContaining('405'),
    })
    expect(judgeCargoAudit('', 'error: no such command: `audit`')).toMatchObject({
      state: 'unknown',
      text: expect.stringContaining('cargo install cargo-audit'),
    })
  })

  it('are told by name', () => {
    expect(judgeNpmAudit(npmReport(1, { leftpad: { severity: 'high' } })).text).toContain('leftpad (high)')
    const list = [{ advisory: { id: 'RUSTSEC-2026-0001' }, package: { name: 'crate' } }]
    expect(judgeCargoAudit(JSON.stringify({ vulnerabilities: { count: 1, list } }), '')).toMatchObject({
      state: 'advisories',
      text: expect.stringContaining('crate (RUSTSEC-2026-0001)'),
    })
  })
})
