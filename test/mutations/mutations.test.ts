import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MUTATIONS } from './index.ts'
import { Scratch } from './scratch.ts'

let scratch: Scratch | undefined
beforeAll(() => {
  scratch = new Scratch()
}, 1_800_000)
afterAll(() => {
  scratch?.[Symbol.dispose]()
})

function whole(): Scratch {
  if (scratch === undefined) throw new Error('the copy of the repository was not made')
  return scratch
}

describe('with everything in place', () => {
  const tests = new Map(MUTATIONS.map(({ test }) => [`${test.file} › ${test.name}`, test]))
  for (const [name, test] of tests) {
    it(`passes: ${name}`, { timeout: 1_200_000 }, () => {
      const { ran, failed, output } = whole().run(test)
      expect(ran, output).toBeGreaterThan(0)
      expect(failed, output).toBe(0)
    })
  }
})

describe('a protection that is gone is noticed', () => {
  for (const mutation of MUTATIONS) {
    it(`${mutation.rows.join(', ')}: ${mutation.removes}`, { timeout: 1_200_000 }, () => {
      using _gone = whole().remove(mutation)
      const { ran, failed, output } = whole().run(mutation.test)
      expect(ran, output).toBeGreaterThan(0)
      expect(failed, output).toBeGreaterThan(0)
    })
  }
})
