import { test } from 'vitest'
import { fuzzChannels, fuzzDecoder, fuzzing } from '../channel/fuzz.ts'

// The same as src/channel/fuzz.test.ts, a hundred times as long.
const run = fuzzing(10_000_000)

test('B05: the decoder and the JSON funnel survive ten million mutated frames', { timeout: run.timeoutMs }, () => {
  fuzzDecoder(run)
})

test('B05: whole channels survive three hundred thousand mutated frames', { timeout: run.timeoutMs }, async () => {
  await fuzzChannels(run)
})
