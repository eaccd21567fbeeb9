import { bashCases } from './bash.ts'
import type { Case } from './case.ts'
import { javascriptCases } from './javascript.ts'
import { pythonEndCases } from './python-ends.ts'
import { pythonCases } from './python.ts'

export type { Case, CaseCall, CaseExpectation, CaseLanguage, ExpectedText } from './case.ts'

/** Every case of every language. */
export const cases: readonly Case[] = [...pythonCases, ...pythonEndCases, ...javascriptCases, ...bashCases]
