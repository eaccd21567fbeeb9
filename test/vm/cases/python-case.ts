// What the Python cases have in common.

import type { Case, CaseCall, CaseExpectation } from './case.ts'

export function python(name: string, calls: readonly CaseCall[]): Case {
  return { name, language: 'python', calls }
}

/** A call that ends well, and what else it must do. */
export function ok(code: string, expect: Partial<CaseExpectation> = {}): CaseCall {
  return { code, expect: { exitCode: 0, ...expect } }
}

/** A call that an uncaught error ends. */
export function fails(code: string, errorName: string, expect: Partial<CaseExpectation> = {}): CaseCall {
  return { code, expect: { exitCode: 1, errorName, ...expect } }
}

/** A call that its time limit ends, while it waits. */
export function interrupted(code: string, expect: Partial<CaseExpectation> = {}): CaseCall {
  return {
    code,
    timeoutMs: 1_000,
    expect: { exitCode: 124, reason: 'timeout', errorName: 'KeyboardInterrupt', ...expect },
  }
}

export const stillWorks: CaseCall = { code: 'print("ok")', expect: { exitCode: 0, stdout: 'ok\n', stderr: '' } }
