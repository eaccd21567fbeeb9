import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { dice, fuzz, tryInput } from './engine.mjs'
import { type Target, TARGETS } from './targets.mjs'

// Every input that `npm run fuzz` has found worth keeping, tried again in every way; what crashed once stays here, too.

const CORPUS = new URL('corpus', import.meta.url).pathname

describe.each(TARGETS.map((target) => [target.name, target] as const))('the parser of %s', (name, target) => {
  it('takes its whole corpus, however it is cut into pieces', () => {
    const directory = join(CORPUS, name)
    const inputs = readdirSync(directory).map((file) => readFileSync(join(directory, file)))
    expect(inputs.length).toBeGreaterThan(0)
    for (const input of [...target.seeds, ...inputs]) tryInput(target, input)
  })
})

describe('the fuzzer', () => {
  it('reports what a parser throws, with its input', () => {
    const target: Target = {
      ...made,
      run: (bytes) => {
        if (bytes.includes(0xff)) throw new TypeError('a bug')
        return ''
      },
    }
    const { crash } = fuzz(target, { corpus: [], milliseconds: 5_000, random: dice(1) })
    expect(crash?.error).toBeInstanceOf(TypeError)
    expect(crash?.input.includes(0xff)).toBe(true)
  })

  it('notices an answer that depends on how the bytes arrive', () => {
    const target: Target = { ...made, run: (bytes, cut) => String(Math.min(cut, bytes.length)) }
    expect(() => tryInput(target, Buffer.from('several'))).toThrow(/how the bytes arrive/)
  })
})

const made = { name: 'made', seeds: [Buffer.from('a')], words: [] }
