import { bashCases } from './bash.ts'
import type { Case } from './case.ts'
import { javascriptCases } from './javascript.ts'
import { pythonAsyncCases } from './python-async.ts'
import { pythonEndCases } from './python-ends.ts'
import { pythonErrorCases } from './python-errors.ts'
import { pythonInterruptCases } from './python-interrupts.ts'
import { pythonLibraryCases } from './python-library.ts'
import { pythonLimitCases } from './python-limits.ts'
import { pythonProcessCases } from './python-processes.ts'
import { pythonResultCases } from './python-results.ts'
import { pythonStreamCases } from './python-streams.ts'
import { pythonWreckCases } from './python-wrecks.ts'
import { pythonCases } from './python.ts'

export type { Case, CaseCall, CaseExpectation, CaseLanguage, ExpectedText } from './case.ts'

/** Every case that may run anywhere. */
export const cases: readonly Case[] = [
  ...pythonCases,
  ...pythonEndCases,
  ...pythonErrorCases,
  ...pythonResultCases,
  ...pythonStreamCases,
  ...pythonInterruptCases,
  ...pythonAsyncCases,
  ...pythonProcessCases,
  ...pythonLibraryCases,
  ...pythonWreckCases,
  ...javascriptCases,
  ...bashCases,
]

/** Cases that use up what the machine has. */
export const casesForVmsOnly: readonly Case[] = [...pythonLimitCases]
