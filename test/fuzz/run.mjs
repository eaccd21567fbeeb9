// @ts-check
// `npm run fuzz [-- target …] [--seconds N] [--seed N]`: ten minutes over all parsers unless told otherwise. New inputs go into the corpus, a crash beside it; ends with 1
// when there is one.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { dice, fuzz, nameOf } from './engine.mjs'
import { TARGETS } from './targets.mjs'

const CORPUS = fileURLToPath(new URL('corpus', import.meta.url))
const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '600' }, seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) } },
  allowPositionals: true,
})
const seconds = Number(values.seconds)
const seed = Number(values.seed)
const chosen = TARGETS.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
if (!(seconds > 0) || !Number.isSafeInteger(seed) || chosen.length < new Set(positionals).size || chosen.length === 0) {
  console.error(`usage: npm run fuzz [-- ${TARGETS.map(({ name }) => name).join(' | ')}] [--seconds N] [--seed N]`)
  process.exit(2)
}
console.log(`seed ${seed}, ${seconds} s for ${chosen.length} targets`)
for (const target of chosen) {
  const directory = join(CORPUS, target.name)
  mkdirSync(directory, { recursive: true })
  const corpus = readdirSync(directory).map((name) => readFileSync(join(directory, name)))
  const { runs, blocks, found, crash } = fuzz(target, { corpus, milliseconds: (seconds * 1_000) / chosen.length, random: dice(seed) })
  for (const input of found) writeFileSync(join(directory, nameOf(input)), input)
  console.log(`${target.name.padEnd(8)} ${runs} inputs, ${blocks} blocks, ${found.length} new inputs`)
  if (crash === undefined) continue
  const file = join(CORPUS, `crash-${target.name}-${nameOf(crash.input)}`)
  writeFileSync(file, crash.input)
  console.error(`${target.name}: ${crash.error instanceof Error ? crash.error.stack : String(crash.error)}\ninput: ${file}`)
  process.exitCode = 1
}
