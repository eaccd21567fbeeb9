import { expect, it } from 'vitest'
import { expectFlat, holdingsUnder } from '../leaks/leaks.ts'

it('G06: runs and sessions, ended in every way, leave descriptors, processes, files and memory where they were', async () => {
  const load = { blocks: 3, runs: 24, sessions: 6 }
  const samples = await holdingsUnder(load)
  // Of so few the heap's own movements are the larger part.
  expectFlat(samples, load, 20_000, 500_000)
  expect(samples).toHaveLength(3)
}, 180_000)
