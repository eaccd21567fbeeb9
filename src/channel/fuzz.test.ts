import { test } from 'vitest'
import { fuzzChannels, fuzzDecoder, fuzzing } from '../../test/channel/fuzz.ts'

const run = fuzzing(100_000)

test('B05: the decoder and the JSON funnel survive mutated frames', { timeout: run.timeoutMs }, () => {
  fuzzDecoder(run)
})

test('B05: whole channels end in a conversation or a ProtocolError', { timeout: run.timeoutMs }, async () => {
  await fuzzChannels(run)
})
