import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Scheduler } from '../../src/index.ts'
import { playCase } from './cases/check.ts'
import { cases } from './cases/index.ts'

// Each case has a VM of its own, resumed from the template of its language: that is a tenth of what it takes to start
// another interpreter under emulation, and it is what users get.
const scheduler = new Scheduler({ memoryMb: 512 })
afterAll(async () => await scheduler.close())

describe.each(['python', 'javascript', 'bash'] as const)('%s', (language) => {
  const ofLanguage = cases.filter((entry) => entry.language === language)
  beforeAll(async () => {
    if (!(await scheduler.prepare({ language }))) throw new Error(`no template for ${language}`)
  })

  it.concurrent.each(ofLanguage.map((entry) => [entry.name, entry] as const))('F01: %s', async (_, entry) => {
    await using sandbox = await scheduler.create({ language, timeoutMs: 60_000 })
    expect(sandbox.info().source).toMatch(/^(?:disk|memory)-snapshot$/)
    await playCase(entry, sandbox)
  })
})
