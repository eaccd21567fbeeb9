// The case table against the REPL programs alone: the same cases run in a VM under test/vm. This takes seconds.

import { expect, test } from 'vitest'
import { type CaseExpectation, type ExpectedText, cases } from '../../../test/vm/cases/index.ts'
import { type NativeResult, NativeSession } from './native-session.ts'

const { EXEC_SANDBOX_TEST_ROOTFS: root = '', EXEC_SANDBOX_TEST_BASH_BUILTIN: bashBuiltin = '' } = process.env

// Running under the interpreter of a #! line is the agent's part, and some programs are for no machine that matters.
const suitable = cases.filter(({ calls, vmOnly }) => !vmOnly && !calls.some(({ code }) => code.startsWith('#!')))

test.each(suitable.map((one) => [`${one.language}: ${one.name}`, one] as const))(
  '%s',
  async (_name, { language, calls }) => {
    await using session = new NativeSession(language, { root, bashBuiltin })
    for (const call of calls) check(await session.run(call), call.expect, call.code)
  },
)

function check(result: NativeResult, expected: CaseExpectation, code: string): void {
  const hint = `${code}\n--- stdout\n${result.stdout.slice(0, 2_000)}\n--- stderr\n${result.stderr.slice(0, 2_000)}`
  expect(result.exitCode, hint).toBe(expected.exitCode)
  expect(result.reason, hint).toBe(expected.reason ?? 'exit')
  checkText(result.stdout, expected.stdout, hint)
  checkText(result.stderr, expected.stderr, hint)
  if (expected.stdoutLength !== undefined) expect(result.stdout.length, hint).toBe(expected.stdoutLength)
  if (expected.errorName !== undefined) expect(result.errorName, hint).toBe(expected.errorName)
  const types = (lists: readonly (readonly string[])[]) => lists.map((list) => [...list].sort())
  if (expected.resultTypes !== undefined) expect(types(result.resultTypes), hint).toEqual(types(expected.resultTypes))
  if (expected.results === undefined) return
  expect(result.results.length, hint).toBe(expected.results.length)
  expected.results.forEach((text, index) => checkText(result.results[index] ?? '', text, hint))
}

function checkText(actual: string, expected: ExpectedText | undefined, hint: string): void {
  if (typeof expected === 'string') expect(actual, hint).toBe(expected)
  else if (expected) expect(actual, hint).toMatch(expected)
}
