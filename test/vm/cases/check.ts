import { expect } from 'vitest'
import type { RunResult, Sandbox } from '../../../src/index.ts'
import type { Case, CaseExpectation, ExpectedText } from './case.ts'

/** Makes the calls of a case in a session, and checks what each gives. */
export async function playCase({ calls }: Case, sandbox: Sandbox): Promise<void> {
  for (const [index, { code, env, timeoutMs, expect: expected }] of calls.entries()) {
    const options = { ...(env === undefined ? {} : { env }), ...(timeoutMs === undefined ? {} : { timeoutMs }) }
    check(await sandbox.runCode(code, options), expected, `call ${index + 1}: ${JSON.stringify(code)}`)
  }
}

function check(result: RunResult, expected: CaseExpectation, where: string): void {
  const shown = `${where}\n${JSON.stringify({ ...result, stdout: result.stdout.slice(0, 2_000) }, undefined, 1)}`
  expect(result.exitCode, shown).toBe(expected.exitCode)
  expect(result.reason, shown).toBe(expected.reason ?? 'exit')
  if (expected.stdout !== undefined) checkText(result.stdout, expected.stdout, shown)
  if (expected.stderr !== undefined) checkText(result.stderr, expected.stderr, shown)
  if (expected.stdoutLength !== undefined) expect(result.stdout.length, shown).toBe(expected.stdoutLength)
  if (expected.errorName !== undefined) expect(result.error?.name ?? null, shown).toBe(expected.errorName)
  if (expected.results !== undefined) {
    expect(result.results.length, shown).toBe(expected.results.length)
    for (const [index, text] of expected.results.entries()) checkText(result.results[index]?.text ?? '', text, shown)
  }
  if (expected.resultData !== undefined) expect(result.results, shown).toMatchObject(expected.resultData)
  if (expected.resultTypes !== undefined) {
    const types = result.results.map((value) => Object.keys(value).filter((key) => key !== 'text'))
    expect(
      types.map((names) => names.toSorted()),
      shown,
    ).toEqual(expected.resultTypes.map((names) => [...names].toSorted()))
  }
}

function checkText(actual: string, expected: ExpectedText, shown: string): void {
  if (typeof expected === 'string') expect(actual, shown).toBe(expected)
  else expect(actual, shown).toMatch(expected)
}
