import { it } from 'vitest'
import { expectFlat, holdingsUnder } from '../leaks/leaks.ts'

it('G06: a thousand runs and two hundred sessions leave descriptors, processes, files and memory where they were', async () => {
  const load = { blocks: 11, runs: 100, sessions: 20 }
  const samples = await holdingsUnder(load)
  console.log(samples.map((sample) => JSON.stringify(sample)).join('\n'))
  // A leaked listener, timer or frame buffer is larger than this.
  expectFlat(samples, load, 300, 3_000)
}, 3_600_000)
