import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { cargoCounts, vitestCounts } from '../../scripts/test-steps.mjs'

const directory = mkdtempSync(join(tmpdir(), 'exec-sandbox-counts-'))
afterAll(() => {
  rmSync(directory, { recursive: true })
})

function report(numbers: Record<string, number>): string {
  const path = join(directory, 'report.json')
  const none = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 }
  writeFileSync(path, JSON.stringify({ ...none, ...numbers }))
  return path
}

test('vitest: passed and failed tests are counted', () => {
  expect(vitestCounts(1, report({ numPassedTests: 5, numFailedTests: 2 }))).toEqual({ passed: 5, failed: 2 })
})

test('vitest: skipped and postponed tests count as failed', () => {
  expect(vitestCounts(0, report({ numPassedTests: 5, numPendingTests: 1, numTodoTests: 1 }))).toEqual({
    passed: 5,
    failed: 2,
  })
})

test('vitest: a file that does not load, and a report that is not there, are a failure', () => {
  expect(vitestCounts(1, report({ numPassedTests: 5 }))).toEqual({ passed: 5, failed: 1 })
  expect(vitestCounts(0, join(directory, 'missing.json'))).toEqual({ passed: 0, failed: 1 })
})

const CARGO = [
  'running 3 tests',
  'test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s',
  'test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s',
].join('\n')

test('cargo: every test binary is counted, an ignored test as failed', () => {
  expect(cargoCounts(101, CARGO)).toEqual({ passed: 4, failed: 2 })
})

test('cargo: sources that do not compile are a failure', () => {
  expect(cargoCounts(101, 'error[E0425]: cannot find value `x` in this scope')).toEqual({ passed: 0, failed: 1 })
})
