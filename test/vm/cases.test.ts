import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunResult, type Sandbox, Scheduler } from '../../src/index.ts'
import { type CaseExpectation, type CaseLanguage, cases, type ExpectedText } from './cases/index.ts'

// Each case starts with a fresh interpreter in the VM of its language: programs end the one before by force, which is
// itself a promise (the next call works). A VM per case would take ten times as long under emulation.
const END_BY_FORCE: Readonly<Record<CaseLanguage, string>> = {
  python: 'import os, signal\nos.kill(os.getpid(), signal.SIGKILL)',
  javascript: 'process.kill(process.pid, "SIGKILL")',
  bash: 'kill -KILL $$',
}

const scheduler = new Scheduler({ memoryMb: 512 })
afterAll(async () => await scheduler.close())

describe.each(['python', 'javascript', 'bash'] as const)('%s', (language) => {
  let sandbox: Sandbox
  let fresh = true
  beforeAll(async () => {
    sandbox = await scheduler.create({ language, timeoutMs: 60_000 })
  })
  afterAll(async () => await sandbox.close())

  const ofLanguage = cases.filter((entry) => entry.language === language)
  it.each(ofLanguage.map((entry) => [entry.name, entry] as const))('%s', async (_, { calls }) => {
    if (!fresh) {
      const end = await sandbox.runCode(END_BY_FORCE[language])
      expect(end).toMatchObject({ state: 'reset', reason: 'signal', exitCode: 137 })
    }
    fresh = false
    for (const [index, call] of calls.entries()) {
      const result = await sandbox.runCode(call.code, {
        ...(call.env === undefined ? {} : { env: call.env }),
        ...(call.timeoutMs === undefined ? {} : { timeoutMs: call.timeoutMs }),
      })
      check(result, call.expect, `call ${index + 1}: ${JSON.stringify(call.code)}`)
    }
  })
})

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
}

function checkText(actual: string, expected: ExpectedText, shown: string): void {
  if (typeof expected === 'string') expect(actual, shown).toBe(expected)
  else expect(actual, shown).toMatch(expected)
}
