// @ts-check
// Coverage-guided fuzzing by V8's own block coverage: an input that reaches a block, or a number of times, that none before it has reached is kept and
// changed further.
import { createHash } from 'node:crypto'
import { Session } from 'node:inspector'

/** Bytes of an input at most: the parsers' own bounds are tested elsewhere. */
const LONGEST = 8_192
/** Pieces in which an input is given: whole, byte by byte, and in odd ones. */
const CUTS = [Number.MAX_SAFE_INTEGER, 1, 7]

/** mulberry32: seedable. @param {number} seed */
export function dice(seed) {
  let state = seed >>> 0
  return (/** @type {number} */ below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** Runs one input in each way; the answers have to be the same. @param {import('./targets.mjs').Target} target @param {Buffer} bytes */
export function tryInput(target, bytes) {
  const [first, ...others] = CUTS.map((cut) => target.run(bytes, cut))
  for (const other of others) if (other !== first) throw new Error(`it depends on how the bytes arrive:\n${first}\n${other}`)
}

/** @param {Buffer} bytes */
export function nameOf(bytes) {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 12)
}

/** The coverage of what has run since the last look. */
class Coverage {
  #session = new Session()
  /** @type {Set<string>} */
  #seen = new Set()

  constructor() {
    this.#session.connect()
    this.#post('Profiler.enable')
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** Whether a block ran that had not, or more often by a power of two. */
  look() {
    /** @type {{ result: { url: string, functions: { ranges: { startOffset: number, count: number }[] }[] }[] }} */
    const { result } = this.#post('Profiler.takePreciseCoverage')
    let found = false
    for (const { url, functions } of result) {
      if (!url.includes('/dist/')) continue
      for (const { ranges } of functions)
        for (const { startOffset, count } of ranges) {
          if (count === 0) continue
          const block = `${url} ${startOffset} ${Math.min(8, Math.floor(Math.log2(count)))}`
          if (this.#seen.has(block)) continue
          this.#seen.add(block)
          found = true
        }
    }
    return found
  }

  get blocks() {
    return this.#seen.size
  }

  /** @param {any} method @param {any} [params] @returns {any} */
  #post(method, params) {
    let answer
    this.#session.post(method, params, (error, result) => {
      if (error !== null) throw new Error(error.message)
      answer = result
    })
    return answer
  }

  end() {
    this.#session.disconnect()
  }
}

/**
 * @param {import('./targets.mjs').Target} target
 * @param {{ readonly corpus: readonly Buffer[], readonly milliseconds: number, readonly random: (below: number) => number }} options
 * @returns {{ readonly runs: number, readonly blocks: number, readonly found: readonly Buffer[], readonly crash: { readonly input: Buffer, readonly error: unknown } | undefined }}
 */
export function fuzz(target, { corpus, milliseconds, random }) {
  const coverage = new Coverage()
  /** @type {Buffer[]} */
  const kept = []
  /** @type {Buffer[]} */
  const found = []
  let runs = 0
  try {
    const deadline = performance.now() + milliseconds
    const queue = [...target.seeds, ...corpus]
    for (;;) {
      const fresh = queue.length > 0
      const input = queue.shift() ?? change(kept, target.words, random)
      try {
        tryInput(target, input)
      } catch (error) {
        return { runs, blocks: coverage.blocks, found, crash: { input, error } }
      }
      runs += 1
      if (coverage.look()) {
        kept.push(input)
        if (!fresh) found.push(input)
      } else if (fresh && kept.length === 0) kept.push(input)
      if (performance.now() > deadline && !fresh) return { runs, blocks: coverage.blocks, found, crash: undefined }
    }
  } finally {
    coverage.end()
  }
}

const ODD_BYTES = [0, 1, 3, 0x14, 0x16, 0x22, 0x5b, 0x7b, 0x7f, 0x80, 0xfe, 0xff]

/** One of the inputs, changed a few times. @param {readonly Buffer[]} kept @param {readonly string[]} words @param {(below: number) => number} random */
function change(kept, words, random) {
  const pick = () => kept[random(kept.length)] ?? Buffer.alloc(1)
  let bytes = Buffer.from(pick())
  for (let times = 1 + random(4); times > 0; times -= 1) {
    const at = random(bytes.length + 1)
    switch (random(7)) {
      case 0:
        if (bytes.length > 0) bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ (1 << random(8))
        break
      case 1:
        if (bytes.length > 0) bytes[at % bytes.length] = ODD_BYTES[random(ODD_BYTES.length)] ?? 0
        break
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([random(256)]), bytes.subarray(at)])
        break
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random(8))])
        break
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), pick().subarray(random(32))])
        break
      case 5:
        if (words.length > 0) bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(words[random(words.length)] ?? '', 'latin1'), bytes.subarray(at)])
        break
      default:
        if (at + 2 <= bytes.length) bytes.writeUInt16BE(random(65_536), at)
    }
  }
  return bytes.subarray(0, LONGEST)
}
