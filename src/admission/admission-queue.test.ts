import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  abandon,
  AHEAD_SHARE,
  type AdmissionState,
  enqueue,
  HIGH_PRESSURE_PERCENT,
  holdAhead,
  isBehind,
  measured,
  memoryShortage,
  NOTHING_HELD,
  release,
  rest,
  settle,
  usageOf,
  type Waiting,
} from './admission-queue.ts'
import type { Capacity, Need } from './budget.ts'

const roomy: Capacity = {
  budget: { memoryMb: 1000, cpus: 3 },
  reserveMb: 100,
  availableMb: 100_000,
  pressurePercent: 0,
}
const need = (memoryMb: number, cpus = 1): Need => ({ memoryMb, cpus, expectedMb: Math.ceil(memoryMb / 5) })
const admit = (id: number, memoryMb = 100, cpus = 1): Waiting => ({ kind: 'admit', id, need: need(memoryMb, cpus) })
const work = (id: number, holding: number): Waiting => ({ kind: 'work', id, holding })

/** Joins one after the other, then settles; the ids granted and the state after. */
function arrive(state: AdmissionState, waiting: readonly Waiting[], capacity = roomy): [number[], AdmissionState] {
  const outcome = settle(waiting.reduce(enqueue, state), capacity)
  return [outcome.granted.map(({ id }) => id), outcome.state]
}

describe('the lines', () => {
  it('let in as many as there are processors, the others in their order', () => {
    const [first, state] = arrive(
      NOTHING_HELD,
      [1, 2, 3, 4, 5].map((id) => admit(id)),
    )
    expect(first).toEqual([1, 2, 3])
    const [next, after] = arrive(release(state, 2), [])
    expect(next).toEqual([4])
    expect(after.waiting.map(({ id }) => id)).toEqual([5])
  })

  it('are not overtaken by a small one that would fit', () => {
    const [, state] = arrive(NOTHING_HELD, [admit(1, 600)])
    const [granted, waiting] = arrive(state, [admit(2, 600), admit(3, 50)])
    expect(granted).toEqual([])
    const [then] = arrive(release(waiting, 1), [])
    expect(then).toEqual([2, 3])
  })

  it('run one that wants more processors than there are alone, after those before it', () => {
    const [granted, state] = arrive(NOTHING_HELD, [admit(1), admit(2, 100, 8), admit(3)])
    expect(granted).toEqual([1])
    const [then, after] = arrive(release(state, 1), [])
    expect(then).toEqual([2])
    expect(usageOf(after).cpus).toBe(3)
    expect(arrive(release(after, 2), [])[0]).toEqual([3])
  })

  it('let a VM that has its memory work while an earlier call lacks memory', () => {
    const [, state] = arrive(NOTHING_HELD, [admit(1, 900)])
    const [granted, after] = arrive(rest(state, 1), [admit(2, 900), work(3, 1)])
    expect(granted).toEqual([3])
    expect(usageOf(after)).toMatchObject({ memoryMb: 900, cpus: 1, working: 1 })
  })

  it('keep a VM that wants to work behind an earlier call that lacks processors only', () => {
    const [, state] = arrive(NOTHING_HELD, [admit(1), admit(2, 100, 2)])
    const [granted, after] = arrive(rest(state, 1), [admit(3, 100, 2), work(4, 1)])
    expect(granted).toEqual([])
    expect(arrive(release(after, 2), [])[0]).toEqual([3, 4])
  })

  it('refuse what can never be given: too much memory, or work for a VM that is gone', () => {
    const outcome = settle([admit(1, 1001), admit(2), work(3, 77)].reduce(enqueue, NOTHING_HELD), roomy)
    expect(outcome.refused.map(({ id }) => id)).toEqual([1, 3])
    expect(outcome.granted.map(({ id }) => id)).toEqual([2])
  })
})

describe('the memory that is really free', () => {
  const tight: Capacity = { ...roomy, availableMb: 160 }

  it('counts what VMs at work may yet take, and what is reserved', () => {
    const [granted, state] = arrive(NOTHING_HELD, [admit(1, 200), admit(2, 200)], tight)
    expect(granted).toEqual([1])
    expect(settle(state, tight).gated).toBe(true)
    expect(arrive(state, [], { ...tight, availableMb: 180 })[0]).toEqual([2])
  })

  it('counts a VM that just went idle until the host has been measured again', () => {
    const [, state] = arrive(NOTHING_HELD, [admit(1, 200), admit(2, 100)], { ...tight, availableMb: 200 })
    const resting = rest(state, 1)
    expect(usageOf(resting).unseenMb).toBe(60)
    expect(usageOf(measured(resting)).unseenMb).toBe(20)
  })

  it('admits one VM below the reserve and under pressure while nothing works, and only one', () => {
    const poor: Capacity = { ...roomy, availableMb: 45, pressurePercent: 99 }
    const [granted, state] = arrive(NOTHING_HELD, [admit(1), admit(2)], poor)
    expect(granted).toEqual([1])
    expect(arrive(measured(rest(state, 1)), [], poor)[0]).toEqual([2])
  })

  it('admits none that the host does not have the memory for at all', () => {
    expect(arrive(NOTHING_HELD, [admit(1)], { ...roomy, availableMb: 19 })[0]).toEqual([])
    expect(arrive(NOTHING_HELD, [admit(1)], { ...roomy, availableMb: 20 })[0]).toEqual([1])
  })

  it('admits nothing more from high pressure on, and does where the kernel does not tell', () => {
    const [, state] = arrive(NOTHING_HELD, [admit(1)])
    const at = (pressurePercent: number | undefined): string | undefined =>
      memoryShortage(usageOf(state), need(100), { ...roomy, pressurePercent })
    expect(at(HIGH_PRESSURE_PERCENT)).toBe('pressure')
    expect(at(HIGH_PRESSURE_PERCENT - 0.01)).toBeUndefined()
    expect(at(undefined)).toBeUndefined()
  })
})

describe('VMs made ahead of demand', () => {
  it('get a reservation only while nobody waits', () => {
    const [, state] = arrive(NOTHING_HELD, [admit(1, 900), admit(2, 900)])
    expect(holdAhead(state, { id: 3, need: need(10) }, roomy).state).toBeUndefined()
    expect(holdAhead(abandon(state, 2), { id: 3, need: need(10) }, roomy).state).toBeDefined()
  })

  it('leave a share of the memory to demand, until they serve it', () => {
    let state = NOTHING_HELD
    let held = 0
    for (let id = 1; id <= 10; id += 1) {
      const found = holdAhead(state, { id, need: need(100) }, roomy).state
      if (found !== undefined) held += 1
      state = rest(found ?? state, id)
    }
    expect(held).toBe(10 * AHEAD_SHARE)
    const [, serving] = arrive(state, [work(20, 1)])
    expect(holdAhead(serving, { id: 21, need: need(100) }, roomy).state).toBeDefined()
  })
})

describe('a release', () => {
  it('takes the one who waits for this VM to work out of the line', () => {
    const [, state] = arrive(NOTHING_HELD, [admit(1), admit(2, 100, 3)])
    const waiting = enqueue(rest(state, 1), work(9, 1))
    expect(release(waiting, 2).waiting).toContainEqual(work(9, 1))
    expect(release(waiting, 1).waiting).not.toContainEqual(work(9, 1))
  })

  it('twice, or of what is not held, changes nothing', () => {
    const [, state] = arrive(NOTHING_HELD, [admit(1), admit(2)])
    const once = release(state, 1)
    expect(release(once, 1)).toBe(once)
    expect(rest(once, 1)).toBe(once)
    expect(usageOf(once).memoryMb).toBe(100)
  })
})

type Step =
  | { readonly do: 'admit' | 'ahead'; readonly memoryMb: number; readonly cpus: number }
  | { readonly do: 'work' | 'rest' | 'release' | 'abandon'; readonly pick: number }
  | { readonly do: 'measure'; readonly availableMb: number; readonly pressurePercent: number }

const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constantFrom('admit', 'ahead'),
        memoryMb: fc.integer({ min: 1, max: 1000 }),
        cpus: fc.integer({ min: 1, max: 8 }),
      }),
    },
    { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('work', 'rest', 'release', 'abandon'), pick: fc.nat() }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('measure'),
        availableMb: fc.integer({ min: 0, max: 3000 }),
        pressurePercent: fc.constantFrom(0, 5, 50),
      }),
    },
  ),
  { maxLength: 80 },
) as fc.Arbitrary<Step[]>

/** Plays steps as the class does, and notes who came and who got what, in order. */
class Play {
  state: AdmissionState = NOTHING_HELD
  capacity: Capacity = roomy
  readonly came: Waiting[] = []
  readonly granted: Waiting[] = []
  /** How often one more joined a line that does not move, and was granted by `settle` nevertheless. */
  jumped = 0
  #lastId = 0

  take(step: Step): void {
    const pickOf = <T>(from: readonly T[]): T | undefined =>
      'pick' in step ? from[step.pick % Math.max(1, from.length)] : undefined
    const held = pickOf([...this.state.held.keys()])
    if (step.do === 'admit') this.#join({ kind: 'admit', id: this.#next(), need: need(step.memoryMb, step.cpus) })
    else if (step.do === 'ahead') {
      this.state =
        holdAhead(this.state, { id: this.#next(), need: need(step.memoryMb, step.cpus) }, this.capacity).state ??
        this.state
    } else if (step.do === 'measure') {
      this.capacity = { ...roomy, availableMb: step.availableMb, pressurePercent: step.pressurePercent }
      this.state = measured(this.state)
    } else if (step.do === 'abandon') this.state = abandon(this.state, pickOf(this.state.waiting)?.id ?? -1)
    else if (held === undefined) return
    else if (step.do === 'release') this.state = release(this.state, held)
    else if (step.do === 'rest') this.state = rest(this.state, held)
    else if (this.state.held.get(held)?.phase !== 'working') this.#join(work(this.#next(), held))
    this.settle()
  }

  settle(): void {
    const outcome = settle(this.state, this.capacity)
    this.state = outcome.state
    this.granted.push(...outcome.granted)
  }

  #join(waiting: Waiting): void {
    const behind = isBehind(this.state, waiting)
    this.came.push(waiting)
    this.state = enqueue(this.state, waiting)
    if (behind && settle(this.state, this.capacity).granted.includes(waiting)) this.jumped += 1
  }

  #next(): number {
    this.#lastId += 1
    return this.#lastId
  }
}

const played = (list: readonly Step[], after: (play: Play) => void = () => undefined): Play => {
  const play = new Play()
  for (const step of list) {
    play.take(step)
    after(play)
  }
  return play
}

describe('whatever happens', () => {
  it('no more is given out than the budget has', () => {
    fc.assert(
      fc.property(steps, (list) => {
        played(list, ({ state }) => {
          const usage = usageOf(state)
          expect(usage.memoryMb).toBeLessThanOrEqual(roomy.budget.memoryMb)
          expect(usage.cpus).toBeLessThanOrEqual(roomy.budget.cpus)
          expect(usage.aheadMb).toBeLessThanOrEqual(roomy.budget.memoryMb * AHEAD_SHARE)
        })
      }),
    )
  })

  it('those of one line are granted in the order in which they came', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const play = played(list)
        for (const kind of ['admit', 'work'] as const) {
          const ids = play.granted.filter((waiting) => waiting.kind === kind).map(({ id }) => id)
          expect(ids).toEqual(ids.toSorted((a, b) => a - b))
        }
        expect(play.jumped).toBe(0)
      }),
    )
  })

  it('one who works again passes only those who lack memory', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const play = new Play()
        for (const step of list.filter((other) => other.do !== 'measure')) {
          const before = play.granted.length
          play.take(step)
          const head = play.state.waiting.find((waiting) => waiting.kind === 'admit')
          if (head?.kind !== 'admit') continue
          const passed = play.granted.slice(before).some(({ id }) => id > head.id)
          // Memory is as it was when they were judged: nobody behind the head of the line has been given any.
          if (passed) expect(memoryShortage(usageOf(play.state), head.need, roomy)).toBe('memory-budget')
        }
      }),
    )
  })

  it('everybody is served in the end, and everything comes back', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const play = played(list)
        play.capacity = roomy
        play.settle()
        // Each release is one VM that ends; the lines must empty within as many as there are VMs and calls.
        for (let left = list.length * 2; left > 0 && play.state.held.size > 0; left -= 1) {
          const phases = [...play.state.held.values()].map(({ phase }) => phase)
          play.take({ do: 'release', pick: Math.max(0, phases.indexOf('working')) })
        }
        expect(play.state.waiting).toEqual([])
        expect(usageOf(play.state)).toEqual({ memoryMb: 0, cpus: 0, working: 0, unseenMb: 0, aheadMb: 0 })
      }),
    )
  })

  it('somebody waits only while something is held or the host lacks the memory', () => {
    fc.assert(
      fc.property(steps, (list) => {
        played(list, ({ state, capacity }) => {
          const [head] = state.waiting
          if (head?.kind !== 'admit' || state.held.size > 0) return
          expect(capacity.availableMb).toBeLessThan(head.need.expectedMb)
        })
      }),
    )
  })
})
