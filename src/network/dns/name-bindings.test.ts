import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BY_PROXY } from '../policy/judge-target.ts'
import { NameBindings } from './name-bindings.ts'
import { isStandIn, STAND_IN_COUNT, standIn } from './stand-ins.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
/** For what takes seconds of work: on a loaded machine that takes many times as long. */
const TIMEOUT_MS = 180_000

class Clock {
  nowMs = 5_000
  readonly now = (): number => this.nowMs
}

function open(maxEntries?: number): { bindings: NameBindings; clock: Clock } {
  const clock = new Clock()
  return { clock, bindings: new NameBindings({ now: clock.now, ...(maxEntries !== undefined && { maxEntries }) }) }
}

test('addresses that the guest can be given are given, and bound to themselves', () => {
  const { bindings } = open()
  expect(bindings.bind('a.com', ['1.1.1.1', '2606:4700::1', '10.0.0.1', '1.1.1.1'], 300)).toEqual([
    '1.1.1.1',
    '10.0.0.1',
  ])
  expect(bindings.lookup('1.1.1.1')).toEqual({ names: ['a.com'], realAddresses: ['1.1.1.1'] })
  expect(bindings.lookup('10.0.0.1')).toEqual({ names: ['a.com'], realAddresses: ['10.0.0.1'] })
  expect(bindings.lookup('1.1.1.2')).toBeUndefined()
  expect(bindings.size).toBe(2)
})

test('nothing is told of no address', () => {
  const { bindings } = open()
  expect(bindings.bind('a.com', [], 300)).toEqual([])
  expect(bindings.size).toBe(0)
})

test('at most 12 addresses are given', () => {
  const { bindings } = open()
  const real = Array.from({ length: 20 }, (_, index) => `1.1.1.${index}`)
  expect(bindings.bind('a.com', real, 300)).toEqual(real.slice(0, 12))
  expect(
    bindings.bind(
      'b.com',
      real.map((each) => `64:ff9b::${each}`),
      300,
    ),
  ).toHaveLength(1)
  expect(bindings.lookup('198.18.0.1')?.realAddresses).toHaveLength(12)
})

test('an IPv4 address among many IPv6 addresses is given', () => {
  const { bindings } = open()
  const real = [...Array.from({ length: 20 }, (_, index) => `2606:4700::${index}`), '1.1.1.1']
  expect(bindings.bind('a.com', real, 300)).toEqual(['1.1.1.1'])
})

test.for([
  ['IPv6 alone', ['2606:4700::1', '2606:4700::2']],
  ['loopback', ['127.0.0.1']],
  ['the guest’s own net', ['100.64.0.2']],
  ['a stand-in’s number', ['198.19.0.7']],
  ['this network', ['0.0.0.0']],
  ['multicast', ['224.0.0.251']],
  ['broadcast', ['255.255.255.255']],
  ['a proxy', [BY_PROXY]],
] as const)('%s: the guest is given a stand-in', ([, real]) => {
  const { bindings } = open()
  expect(bindings.bind('a.com', real, 300)).toEqual(['198.18.0.1'])
  expect(bindings.lookup('198.18.0.1')).toEqual({ names: ['a.com'], realAddresses: real })
  for (const address of real) expect(bindings.lookup(address)).toBeUndefined()
})

test('addresses next to those are given', () => {
  const { bindings } = open()
  const real = [
    '100.64.0.4',
    '100.63.255.255',
    '198.17.255.255',
    '198.20.0.0',
    '126.255.255.255',
    '1.0.0.0',
    '223.255.255.255',
  ]
  expect(bindings.bind('a.com', real, 300)).toEqual(real)
})

test('an IPv4-mapped address is given as the IPv4 address it is', () => {
  expect(open().bindings.bind('a.com', ['::ffff:1.1.1.1', '::ffff:127.0.0.1'], 300)).toEqual(['1.1.1.1'])
})

test('a stand-in belongs to one name, stays with it, and follows its newest answer', () => {
  const { bindings } = open()
  expect(bindings.bind('a.com', ['::1'], 300)).toEqual(['198.18.0.1'])
  expect(bindings.bind('b.com', ['::1'], 300)).toEqual(['198.18.0.2'])
  expect(bindings.bind('a.com', ['::2'], 300)).toEqual(['198.18.0.1'])
  expect(bindings.lookup('198.18.0.1')).toEqual({ names: ['a.com'], realAddresses: ['::2'] })
  expect(bindings.size).toBe(2)
})

test('an address of several names has them all, in the order of their answers', () => {
  const { bindings, clock } = open()
  bindings.bind('a.com', ['1.1.1.1'], 3600)
  bindings.bind('b.com', ['1.1.1.1'], 60)
  bindings.bind('a.com', ['1.1.1.1'], 3600)
  expect(bindings.lookup('1.1.1.1')?.names).toEqual(['b.com', 'a.com'])
  clock.nowMs += 30 * MINUTE_MS
  expect(bindings.lookup('1.1.1.1')?.names).toEqual(['a.com'])
})

test.for([
  // TTL in seconds, when it is used, when it ends.
  [0, undefined, 10 * MINUTE_MS],
  [Number.NaN, undefined, 10 * MINUTE_MS],
  [-5, undefined, 10 * MINUTE_MS],
  [599, undefined, 10 * MINUTE_MS],
  [660, undefined, 11 * MINUTE_MS],
  [0, 5 * MINUTE_MS, 15 * MINUTE_MS],
  [3600, 55 * MINUTE_MS, 65 * MINUTE_MS],
  [3600, 45 * MINUTE_MS, 60 * MINUTE_MS],
  [7 * 86_400, undefined, 24 * HOUR_MS],
  [Number.POSITIVE_INFINITY, undefined, 24 * HOUR_MS],
  [86_400, 24 * HOUR_MS - 1, 24 * HOUR_MS],
] as const)('a TTL of %d s, used after %d ms, lives %d ms', ([ttlS, usedMs, endMs]) => {
  const { bindings, clock } = open()
  bindings.bind('a.com', ['1.1.1.1'], ttlS)
  const start = clock.nowMs
  if (usedMs !== undefined) {
    clock.nowMs = start + usedMs
    bindings.touch('1.1.1.1')
  }
  clock.nowMs = start + endMs - 1
  expect(bindings.lookup('1.1.1.1')).toEqual({ names: ['a.com'], realAddresses: ['1.1.1.1'] })
  clock.nowMs = start + endMs
  expect(bindings.lookup('1.1.1.1')).toBeUndefined()
  bindings.touch('1.1.1.1')
  expect(bindings.lookup('1.1.1.1')).toBeUndefined()
  expect(bindings.size).toBe(0)
})

test('use does not keep a binding beyond 24 hours, a new answer does', () => {
  const { bindings, clock } = open()
  const start = clock.nowMs
  bindings.bind('a.com', ['1.1.1.1'], 60)
  bindings.bind('b.com', ['1.1.1.2'], 60)
  for (let at = 5; at < 24 * 60; at += 5) {
    clock.nowMs = start + at * MINUTE_MS
    bindings.touch('1.1.1.1')
    bindings.touch('1.1.1.2')
    if (at === 600) bindings.bind('b.com', ['1.1.1.2'], 60)
  }
  expect([bindings.lookup('1.1.1.1'), bindings.lookup('1.1.1.2')]).not.toContain(undefined)
  clock.nowMs = start + 24 * HOUR_MS
  expect(bindings.lookup('1.1.1.1')).toBeUndefined()
  expect(bindings.lookup('1.1.1.2')?.names).toEqual(['b.com'])
})

test('looking a binding up is no use of it', () => {
  const { bindings, clock } = open()
  bindings.bind('a.com', ['1.1.1.1'], 60)
  clock.nowMs += 9 * MINUTE_MS
  bindings.lookup('1.1.1.1')
  clock.nowMs += 1 * MINUTE_MS
  expect(bindings.lookup('1.1.1.1')).toBeUndefined()
})

test('a former answer lives on beside the new one', () => {
  const { bindings, clock } = open()
  bindings.bind('a.com', ['1.1.1.1'], 60)
  clock.nowMs += 5 * MINUTE_MS
  bindings.bind('a.com', ['1.1.1.2'], 60)
  expect(bindings.lookup('1.1.1.1')?.names).toEqual(['a.com'])
  clock.nowMs += 5 * MINUTE_MS
  expect(bindings.lookup('1.1.1.1')).toBeUndefined()
  expect(bindings.lookup('1.1.1.2')?.names).toEqual(['a.com'])
})

test('the pair answered longest ago makes room, expired ones before it', () => {
  const { bindings, clock } = open(3)
  bindings.bind('a.com', ['1.1.1.1'], 7200)
  bindings.bind('b.com', ['1.1.1.2'], 60)
  bindings.bind('c.com', ['1.1.1.3'], 7200)
  clock.nowMs += HOUR_MS
  bindings.bind('d.com', ['1.1.1.4'], 60)
  expect(['1', '2', '3', '4'].filter((last) => bindings.lookup(`1.1.1.${last}`))).toEqual(['1', '3', '4'])
  bindings.bind('a.com', ['1.1.1.1'], 7200)
  bindings.bind('e.com', ['1.1.1.5'], 60)
  expect(['1', '3', '4', '5'].filter((last) => bindings.lookup(`1.1.1.${last}`))).toEqual(['1', '4', '5'])
  expect(bindings.size).toBe(3)
})

test('what found no room is not told', () => {
  const { bindings } = open(2)
  const told = bindings.bind('a.com', ['1.1.1.1', '1.1.1.2', '1.1.1.3'], 60)
  expect(told).toEqual(['1.1.1.2', '1.1.1.3'])
})

test('there are 4096 entries and no more, whatever a guest asks', () => {
  const { bindings } = open()
  for (let index = 0; index < 5000; index += 1)
    bindings.bind(`n${index}.com`, [index % 2 === 0 ? '::1' : `1.1.${index >> 8}.${index & 255}`], 60)
  expect(bindings.size).toBe(4096)
})

test('an address has at most 64 names', () => {
  const { bindings } = open()
  for (let index = 0; index < 100; index += 1) bindings.bind(`n${index}.com`, ['1.1.1.1'], 60)
  const { names } = bindings.lookup('1.1.1.1') ?? { names: [] }
  expect([names.length, names[0], names.at(-1)]).toEqual([64, 'n36.com', 'n99.com'])
  expect(bindings.size).toBe(64)
})

test('stand-ins are all of their block but its ends, and then come round', () => {
  expect([standIn(0), standIn(STAND_IN_COUNT - 1), standIn(STAND_IN_COUNT)]).toEqual([
    '198.18.0.1',
    '198.19.255.254',
    '198.18.0.1',
  ])
  expect(['198.18.0.0', '198.19.255.255', '198.17.255.255', '198.20.0.0', 'x'].map(isStandIn)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ])
})

test('a stand-in given up is given out again only when all others have been, and not while it is bound', {
  timeout: TIMEOUT_MS,
}, () => {
  const { bindings, clock } = open(2)
  const [kept] = bindings.bind('kept.com', ['::1'], 86_400)
  const given = new Set<string>()
  for (let index = 0; index < STAND_IN_COUNT - 1; index += 1) {
    // Answered anew, so that it is never the oldest.
    if (index % 2 === 0) bindings.bind('kept.com', ['::1'], 86_400)
    for (const address of bindings.bind(`n${index}.com`, ['::1'], 60)) given.add(address)
    bindings.bind('kept.com', ['::1'], 86_400)
  }
  expect(given.size).toBe(STAND_IN_COUNT - 1)
  expect(given.has(kept ?? '')).toBe(false)
  expect(bindings.bind('again.com', ['::1'], 60)).toEqual(['198.18.0.2'])
  expect(clock.nowMs).toBe(5_000)
})

test.for([0, -1, 1.5, Number.NaN, 70_000])('a table of %d entries cannot be', (maxEntries) => {
  expect(() => open(maxEntries)).toThrow(RangeError)
})

/** The same, kept as a list of all answers ever. */
class Model {
  readonly #answers: { name: string; address: string; at: number; lifeMs: number; usedAt: number }[] = []

  answer(name: string, address: string, at: number, ttlS: number): void {
    const old = this.#answers.findIndex((each) => each.name === name && each.address === address)
    if (old !== -1) this.#answers.splice(old, 1)
    this.#answers.push({ name, address, at, lifeMs: Math.max(ttlS, 60) * 1000, usedAt: at })
  }

  use(address: string, now: number): void {
    for (const each of this.#live(address, now)) each.usedAt = now
  }

  names(address: string, now: number): string[] {
    return this.#live(address, now).map(({ name }) => name)
  }

  #live(address: string, now: number): { name: string; usedAt: number }[] {
    return this.#answers.filter(
      (each) =>
        each.address === address &&
        now < each.at + 24 * HOUR_MS &&
        (now < each.at + each.lifeMs || now < each.usedAt + 10 * MINUTE_MS),
    )
  }
}

test('any sequence of answers, uses and time gives what a list of all answers gives; a stand-in has one name', {
  timeout: TIMEOUT_MS,
}, () => {
  const names = fc.constantFrom('a.com', 'b.com', 'c.com', 'd.com')
  const real = fc.constantFrom('1.1.1.1', '1.1.1.2', '::1', '2606:4700::1', '127.0.0.1')
  const steps = fc.oneof(
    fc.record({
      kind: fc.constant('bind' as const),
      name: names,
      real: fc.array(real, { minLength: 1, maxLength: 3 }),
      ttlS: fc.constantFrom(0, 30, 900, 7200),
    }),
    fc.record({ kind: fc.constant('touch' as const), index: fc.nat({ max: 5 }) }),
    fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.constantFrom(1, MINUTE_MS, 9 * MINUTE_MS, 11 * MINUTE_MS, 3 * HOUR_MS, 25 * HOUR_MS),
    }),
  )
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 40 }), (sequence) => {
      const { bindings, clock } = open()
      const list = new Model()
      const known = new Set<string>(['1.1.1.1', '1.1.1.2'])
      for (const step of sequence) {
        if (step.kind === 'wait') clock.nowMs += step.ms
        if (step.kind === 'touch') {
          const address = [...known][step.index] ?? '1.1.1.1'
          bindings.touch(address)
          list.use(address, clock.nowMs)
        }
        if (step.kind === 'bind') {
          for (const address of bindings.bind(step.name, step.real, step.ttlS)) {
            known.add(address)
            if (isStandIn(address))
              expect(list.names(address, clock.nowMs).filter((each) => each !== step.name)).toEqual([])
            list.answer(step.name, address, clock.nowMs, step.ttlS)
          }
        }
        for (const address of known)
          expect(bindings.lookup(address)?.names ?? []).toEqual(list.names(address, clock.nowMs))
        expect(bindings.size).toBe([...known].flatMap((address) => list.names(address, clock.nowMs)).length)
      }
    }),
    { numRuns: 2_000 },
  )
})
