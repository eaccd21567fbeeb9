import assert from 'node:assert/strict'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Fill, TestEntry, turn } from '../../test/pool/test-entry.ts'
import { makePool, PAST_ANY_DELAY_MS, type TestPool } from '../../test/pool/test-pool.ts'
import { FILLS_AT_ONCE } from './refill.ts'

// Only what the pool's own delays are made of: what has no delay is waited for by real turns of the event loop.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

const HEARTBEAT_MS = 1_000

/** What may happen to a pool; `pick` says to which fill or entry. */
const step = fc.record({
  kind: fc.constantFrom('take', 'finish', 'finish', 'finish dead', 'fail', 'die', 'lose', 'freeze', 'beat', 'delay'),
  pick: fc.nat(20),
  /** Whether everything that is due happens before the next step, or the next one comes in the same breath. */
  settles: fc.boolean(),
})
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** A pool and what a user of it knows. */
class World {
  readonly made: TestPool
  readonly supplied: TestEntry[] = []
  readonly taken = new Set<TestEntry>()
  readonly #dead: TestEntry[] = []
  /** Dead, and everything had its turn since. */
  readonly #knownDead = new Set<TestEntry>()
  readonly #ended = new Set<Fill>()

  constructor(size: number) {
    this.made = makePool(size, { heartbeatMs: HEARTBEAT_MS })
    this.made.pool.start()
  }

  async apply({ kind, pick, settles }: Step): Promise<void> {
    const idle = this.supplied.filter((entry) => !this.taken.has(entry))
    const entry = idle[pick % Math.max(1, idle.length)]
    if (kind === 'take') this.#take()
    else if (kind === 'finish') this.#finish(new TestEntry(), pick)
    else if (kind === 'finish dead') this.#finishDead(pick)
    else if (kind === 'fail') this.#openFill(pick)?.fail(new Error('no luck'))
    else if (kind === 'die' && entry !== undefined) this.#kill(entry)
    else if (kind === 'lose' && entry !== undefined) entry.hasEnded = true
    else if (kind === 'freeze' && entry !== undefined) entry.isSilent = true
    else if (kind === 'beat') await vi.advanceTimersByTimeAsync(HEARTBEAT_MS)
    else if (kind === 'delay') await vi.advanceTimersByTimeAsync(PAST_ANY_DELAY_MS)
    if (settles) await turn()
    if (settles) for (const dead of this.#dead) this.#knownDead.add(dead)
    this.check()
  }

  check(): void {
    const { pool, filler } = this.made
    const { idle, filling, size } = pool.stats()
    assert(filling <= FILLS_AT_ONCE, 'too many fills in progress')
    assert(idle + filling <= size, 'more than the pool is to hold')
    assert(filler.fills.length - this.#ended.size <= FILLS_AT_ONCE, 'more fills were started than may be in progress')
    for (const entry of this.taken) assert.equal(entry.closes, 0, 'an entry was closed that the pool does not own')
  }

  #kill(entry: TestEntry): void {
    entry.die()
    this.#dead.push(entry)
  }

  #take(): void {
    const entry = this.made.pool.take()
    if (entry === undefined) return
    assert(!this.taken.has(entry), 'an entry was handed out twice')
    assert(!entry.hasEnded && !this.#knownDead.has(entry) && entry.closes === 0, 'a dead entry was handed out')
    this.taken.add(entry)
  }

  /** One of the fills in progress, which is about to end. */
  #openFill(pick: number): Fill | undefined {
    const open = this.made.filler.fills.filter((fill) => !this.#ended.has(fill))
    const fill = open[pick % Math.max(1, open.length)]
    if (fill !== undefined) this.#ended.add(fill)
    return fill
  }

  #finish(entry: TestEntry, pick: number): void {
    const fill = this.#openFill(pick)
    if (fill === undefined) return
    this.supplied.push(entry)
    fill.finish(entry)
  }

  #finishDead(pick: number): void {
    const entry = new TestEntry()
    entry.die()
    // Dead before it came: there is no moment at which the pool may hand it out.
    this.#knownDead.add(entry)
    this.#finish(entry, pick)
  }

  /** Closes the pool at whatever it is doing; fills in progress end as `late` says. */
  async close(late: 'fails' | 'finishes'): Promise<void> {
    const closed = this.made.pool.close()
    await turn()
    for (let count = 0; count < FILLS_AT_ONCE; count += 1) {
      if (late === 'finishes') this.#finish(new TestEntry(), count)
      else this.#openFill(count)?.fail(new Error('aborted'))
    }
    await closed
  }
}

describe('whatever happens to a pool', () => {
  it('each entry has one owner, and after close none is left with the pool', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 4 }),
        fc.array(step, { maxLength: 40 }),
        fc.constantFrom('fails' as const, 'finishes' as const),
        async (size, steps, late) => {
          const world = new World(size)
          await turn()
          for (const next of steps) await world.apply(next)
          await world.close(late)
          for (const entry of world.supplied) expect(entry.closes).toBe(world.taken.has(entry) ? 0 : 1)
          expect(world.made.pool.stats()).toMatchObject({ idle: 0, filling: 0 })
          expect(vi.getTimerCount()).toBe(0)
        },
      ),
      { numRuns: 200 },
    )
  })

  it('it is full again when what ails it has passed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 40 }), async (size, steps) => {
        const world = new World(size)
        await turn()
        for (const next of steps) await world.apply(next)
        for (let count = 0; count < 4 * size + 4; count += 1) {
          await world.apply({ kind: 'delay', pick: 0, settles: true })
          await world.apply({ kind: 'finish', pick: 0, settles: true })
        }
        expect(world.made.pool.stats()).toMatchObject({ idle: size, filling: 0 })
        await world.close('fails')
      }),
      { numRuns: 100 },
    )
  })
})
