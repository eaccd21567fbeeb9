import { bashEndCases } from './bash-ends.ts'
import { bashGuestCases } from './bash-guest.ts'
import { bashShellCases } from './bash-shell.ts'
import { bashSourceCases } from './bash-sources.ts'
import { bashStreamCases } from './bash-streams.ts'
import { bashCases } from './bash.ts'
import type { Case } from './case.ts'
import { javascriptEndCases } from './javascript-ends.ts'
import { javascriptErrorCases } from './javascript-errors.ts'
import { javascriptLanguageCases } from './javascript-language.ts'
import { javascriptOutputCases } from './javascript-output.ts'
import { javascriptPlatformCases } from './javascript-platform.ts'
import { javascriptValueCases } from './javascript-values.ts'
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

/** Every case of every language. */
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
  ...pythonLimitCases,
  ...javascriptCases,
  ...javascriptLanguageCases,
  ...javascriptErrorCases,
  ...javascriptEndCases,
  ...javascriptValueCases,
  ...javascriptOutputCases,
  ...javascriptPlatformCases,
  ...bashCases,
  ...bashEndCases,
  ...bashShellCases,
  ...bashStreamCases,
  ...bashSourceCases,
  ...bashGuestCases,
]
