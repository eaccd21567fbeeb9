import { afterAll, describe, expect, it } from 'vitest'
import { Scheduler } from '../../src/index.ts'
import { playCase } from './cases/check.ts'
import { type Case, type CaseLanguage, cases } from './cases/index.ts'

// The whole table runs on restored VMs (cases.test.ts). These few run on VMs that came to be in the other two ways: what
// differs between them is only how they begin, so they are cases about state, output, ends and what a program inherits.
const CHOSEN: Readonly<Record<CaseLanguage, readonly string[]>> = {
  python: [
    'globals stay from call to call',
    'a hard exit resets the state and nothing else',
    'closed and replaced streams are whole again in the next call',
    'the namespace is that of __main__ and holds nothing of ours',
    'environment entries of a call end with it',
  ],
  javascript: [
    'top-level declarations stay and may be declared again',
    'process.exit ends the program where it stands and keeps the state',
    'an uncaught error shows the program’s frames on their lines',
    'environment entries of a call end with it',
  ],
  bash: [
    'directory, variables, functions and arrays stay',
    'errexit and nounset end a program and not the session',
    'names and numbers are those of a script',
    'environment entries of a call end with it',
    'output of awkward sizes is exact',
  ],
}

const scheduler = new Scheduler({ warmPool: { python: 1, javascript: 1, bash: 1 } })
afterAll(async () => await scheduler.close())

function caseOf(language: CaseLanguage, name: string): Case {
  const found = cases.find((entry) => entry.language === language && entry.name === name)
  if (found === undefined) throw new RangeError(`no case of ${language}: ${name}`)
  return found
}

describe.each(['python', 'javascript', 'bash'] as const)('%s', (language) => {
  it.each(CHOSEN[language])('out of a pool: %s', async (name) => {
    await scheduler.ready()
    await using sandbox = await scheduler.create({ language })
    expect(sandbox.info().source).toBe('pool')
    await playCase(caseOf(language, name), sandbox)
  })

  it('booted: all of them, each in an interpreter of its own', async () => {
    // Whoever wants the boot log gets a VM that boots.
    await using sandbox = await scheduler.create({ language, onBootLog: () => undefined })
    expect(sandbox.info().source).toBe('cold-boot')
    for (const name of CHOSEN[language]) {
      await sandbox.contexts.restart()
      await playCase(caseOf(language, name), sandbox)
    }
  })
})
