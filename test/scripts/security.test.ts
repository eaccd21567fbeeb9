import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Plan, planSecurity, proofsAt, titlePattern } from '../../scripts/security/plan.mjs'
import { rowsOf } from '../../scripts/security/requirements-table.mjs'
import { cargoOutcome, tableOf, vitestOutcomes } from '../../scripts/security/results.mjs'
import { ROOT } from '../repository/repository.ts'
import { REQUIREMENT_IDS } from '../repository/requirement-ids.ts'

const ROWS = rowsOf(readFileSync(join(ROOT, 'docs/requirements.md'), 'utf8'))
const BOTH = ['kvm', 'tcg'] as const

/** Rows as `A01 on kvm: path › title`. */
function listed(plan: Plan): string[] {
  return plan.rows.flatMap(({ id, checks, missing }) =>
    missing === undefined
      ? checks.map(({ proof, place }) => `${id} on ${place}: ${proof.path} › ${proof.title}`)
      : [`${id}: ${missing}`],
  )
}

describe('the plan of the security tests', () => {
  test('B09: has every row of A and B, and each test that starts VMs on each accelerator that works', () => {
    const plan = planSecurity(ROWS, BOTH)
    expect(plan.rows.map(({ id }) => id)).toEqual(REQUIREMENT_IDS.filter((id) => /^[AB]/.test(id)))
    expect(plan.rows.filter(({ checks, missing }) => checks.length === 0 && missing === undefined)).toEqual([])
    expect(plan.places).toEqual(['host', 'kvm', 'tcg'])
    const inVms = proofsAt(plan, 'tcg')
    expect(proofsAt(plan, 'kvm')).toEqual(inVms)
    expect(inVms.length).toBeGreaterThan(15)
    expect(proofsAt(plan, 'host').filter(({ path }) => path.startsWith('test/vm/'))).toEqual([])
    expect(proofsAt(planSecurity(ROWS, ['tcg']), 'tcg')).toEqual(inVms)
  })

  const row = (id: string, state: string, proof: string) => ({ id, state, proof })
  const rows = [
    row('A01', 'done', 'test/vm/a.test.ts › "holds"; src/b.test.ts › "also"'),
    row('A02', 'not yet', ''),
    row('B01', 'done', 'test/vm/a.test.ts › "holds"; guest/agent/src/c.rs › "is_kept"'),
    row('C01', 'done', 'test/vm/c.test.ts › "fast"'),
  ]

  test('runs without VMs once, and a test that two rows name once in each place', () => {
    const plan = planSecurity(rows, BOTH)
    expect(listed(plan)).toEqual([
      'A01 on kvm: test/vm/a.test.ts › holds',
      'A01 on tcg: test/vm/a.test.ts › holds',
      'A01 on host: src/b.test.ts › also',
      'A02: not yet',
      'B01 on kvm: test/vm/a.test.ts › holds',
      'B01 on tcg: test/vm/a.test.ts › holds',
      'B01 on host: guest/agent/src/c.rs › is_kept',
    ])
    expect(proofsAt(plan, 'kvm').map(({ title }) => title)).toEqual(['holds'])
    expect(proofsAt(plan, 'host').map(({ runner }) => runner)).toEqual(['vitest', 'cargo'])
  })

  test('is of the rows that were asked for, and refuses what it cannot run', () => {
    expect(listed(planSecurity(rows, ['tcg'], ['A02']))).toEqual(['A02: not yet'])
    expect(planSecurity(rows, ['tcg'], ['A02']).places).toEqual([])
    expect(() => planSecurity(rows, ['tcg'], ['A06', 'A01'])).toThrow('no row of A or B: A06')
    expect(() => planSecurity(rows, ['tcg'], ['C01'])).toThrow('no row of A or B: C01')
    expect(() => planSecurity(rows, [])).toThrow('no accelerator')
    expect(() => planSecurity([row('A01', 'done', 'x.py › "test_x"')], BOTH)).toThrow('A01: nothing here can run x.py')
    expect(() => planSecurity([row('A01', 'done', '')], BOTH)).toThrow('A01: done without a proof')
  })
})

/** An accelerator that is named where one is chosen. */
const CHOICE =
  /\b(?:accelerator|requested)\b['"]?\s*[:=]\s*['"](?:auto|kvm|tcg)['"]|--accelerator['",= ]+(?:auto|kvm|tcg)/

// The public API reads EXEC_SANDBOX_ACCELERATOR itself; below it, tests have to.
test('B09: no test in VMs chooses an accelerator against the one that it is run for', () => {
  const texts = ["requested: 'auto',", 'accelerator: "kvm"', "const requested = 'tcg'", "'--accelerator', 'tcg'"]
  expect(texts.filter((text) => !CHOICE.test(text))).toEqual([])
  const own = ['probe.test.ts', 'qemu-faults.test.ts'] // They are about the choice itself.
  const files = readdirSync(join(ROOT, 'test/vm'), { withFileTypes: true }).filter((entry) => entry.isFile())
  const choosing = files.filter(({ name }) => CHOICE.test(readFileSync(join(ROOT, 'test/vm', name), 'utf8')))
  expect(choosing.map(({ name }) => name)).toEqual(own)
})

describe('the results of the security tests', () => {
  const proof = (title: string) => ({ path: 'test/vm/a.test.ts', title, runner: 'vitest' as const })
  const report = (...cases: [string, string][]) => ({
    testResults: [
      { name: '/r/test/vm/a.test.ts', assertionResults: cases.map(([title, status]) => ({ title, status })) },
      { name: '/r/test/vm/b.test.ts', assertionResults: [{ title: 'holds', status: 'failed' }] },
    ],
  })
  const outcome = (title: string, ...cases: [string, string][]) =>
    vitestOutcomes([proof(title)], report(...cases), '/r/').get(`test/vm/a.test.ts › ${title}`)

  test('a test has passed when it ran and all its cases did', () => {
    expect(outcome('holds', ['holds', 'passed'])).toEqual({ passed: true, cases: 1, why: '' })
    expect(outcome('%s (%i) works', ['a (1) works', 'passed'], ['b (2) works', 'passed'])?.cases).toBe(2)
    expect(outcome('%s works', ['a works', 'passed'], ['b works', 'failed'])).toEqual({
      passed: false,
      cases: 2,
      why: 'failed',
    })
    expect(outcome('holds', ['holds not', 'passed'])?.passed).toBe(false)
    expect(outcome('holds', ['holds', 'skipped'])).toEqual({ passed: false, cases: 1, why: 'not run (skipped)' })
    expect(outcome('holds')).toEqual({ passed: false, cases: 0, why: 'no test of that name ran' })
    expect(vitestOutcomes([proof('holds')], undefined, '/r').get('test/vm/a.test.ts › holds')?.passed).toBe(false)
    expect(new RegExp(titlePattern('a $name.first? [%s]')).test('a Jo? [x]')).toBe(true)
  })

  test('a Rust test has passed when it ran', () => {
    const line = 'test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured'
    const none = 'test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured'
    expect(cargoOutcome(0, `${none}\n${line}\n`)).toEqual({ passed: true, cases: 1, why: '' })
    expect(cargoOutcome(0, none).passed).toBe(false)
    expect(cargoOutcome(101, line).passed).toBe(false)
    expect(cargoOutcome(0, 'test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured').passed).toBe(false)
  })

  test('the table has each row, and a test that was never run has failed', () => {
    const rows = [
      { id: 'A01', state: 'done', proof: 'test/vm/a.test.ts › "holds"' },
      { id: 'A02', state: 'not yet', proof: '' },
    ]
    const plan = planSecurity(rows, BOTH)
    const outcomes = new Map([['tcg', vitestOutcomes([proof('holds')], report(['holds', 'passed']), '/r')]])
    expect(tableOf(plan, outcomes)).toEqual({
      lines: ['A01  kvm ✗ never run  tcg ✓  test/vm/a.test.ts › holds', 'A02  – no proof yet'],
      passed: 1,
      failed: 1,
      missing: ['A02'],
    })
  })
})
