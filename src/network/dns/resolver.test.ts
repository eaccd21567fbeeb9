import { lookup } from 'node:dns/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { lookupLanes } from '../host-network.ts'
import { Lanes } from '../lanes.ts'
import { type Lookup, Resolver } from './resolver.ts'

const signal = new AbortController().signal

afterEach(() => {
  vi.useRealTimers()
})

/** A lookup whose answers the test gives, in any order. */
function openLookups(): { readonly lookup: Lookup; readonly waiting: Map<string, (address: string) => void> } {
  const waiting = new Map<string, (address: string) => void>()
  return {
    waiting,
    lookup: async (name) =>
      await new Promise((resolve) => waiting.set(name, (address) => resolve([{ address, family: 4 }]))),
  }
}

test('the real resolver knows localhost and no name below .invalid', async () => {
  const resolver = new Resolver({ lookup, lanes: lookupLanes(4) })
  const answer = await resolver.resolve('localhost', signal)
  expect(
    answer.kind === 'addresses' && answer.addresses.some((address) => ['127.0.0.1', '::1'].includes(address)),
  ).toBe(true)
  expect(['no-name', 'failed']).toContain((await resolver.resolve('no.such.name.invalid', signal)).kind)
})

test('who asks for the same name at once shares one lookup', async () => {
  const { lookup: open, waiting } = openLookups()
  let lookups = 0
  const resolver = new Resolver({
    lanes: lookupLanes(4),
    lookup: async (...asked) => ((lookups += 1), await open(...asked)),
  })
  const both = Promise.all([resolver.resolve('a.example', signal), resolver.resolve('a.example', signal)])
  await vi.waitFor(() => expect(waiting.has('a.example')).toBe(true))
  waiting.get('a.example')?.('192.0.2.1')
  expect(await both).toEqual([1, 2].map(() => ({ kind: 'addresses', addresses: ['192.0.2.1'] })))
  expect(lookups).toBe(1)
})

test('an answer is kept for 10 s, one that failed is not', async () => {
  let nowMs = 0
  const asked: string[] = []
  const resolver = new Resolver({
    lanes: lookupLanes(4),
    nowMs: () => nowMs,
    lookup: async (name) => {
      asked.push(name)
      if (name === 'bad.example') throw Object.assign(new Error('EAI_AGAIN'), { code: 'EAI_AGAIN' })
      return await Promise.resolve([{ address: '192.0.2.1', family: 4 }])
    },
  })
  for (const time of [0, 9_999, 10_000]) {
    nowMs = time
    await resolver.resolve('a.example', signal)
    expect((await resolver.resolve('bad.example', signal)).kind).toBe('failed')
  }
  expect(asked.filter((name) => name === 'a.example')).toHaveLength(2)
  expect(asked.filter((name) => name === 'bad.example')).toHaveLength(3)
})

test('100 names at once and 50 a second are asked for, more are not', async () => {
  let nowMs = 0
  let asked = 0
  const resolver = new Resolver({
    lanes: new Lanes({ slots: 1_000, slotsPerLane: 1_000, maxWaitingPerLane: 0 }),
    nowMs: () => nowMs,
    lookup: async () => ((asked += 1), await Promise.resolve([{ address: '192.0.2.1', family: 4 }])),
  })
  const flood = async (from: number): Promise<number> => {
    const names = Array.from({ length: 200 }, (_, index) => `n${from + index}.example`)
    const answers = await Promise.all(
      names.map(async (name) => await resolver.resolve(name, new AbortController().signal)),
    )
    return answers.filter(({ kind }) => kind === 'limited').length
  }
  expect(await flood(0)).toBe(100)
  nowMs = 1_000
  expect(await flood(1_000)).toBe(150)
  expect(asked).toBe(150)
})

test('a sandbox whose lookups hang leaves the others their slots', async () => {
  const { lookup: open, waiting } = openLookups()
  const lanes = lookupLanes(4)
  const hanging = new Resolver({ lookup: open, lanes })
  const other = new Resolver({
    lookup: async () => await Promise.resolve([{ address: '192.0.2.1', family: 4 }]),
    lanes,
  })
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const hung = Array.from(
    { length: 70 },
    async (_, index) => await hanging.resolve(`${index}.slow.example`, new AbortController().signal),
  )
  expect(await other.resolve('a.example', signal)).toEqual({ kind: 'addresses', addresses: ['192.0.2.1'] })
  await vi.advanceTimersByTimeAsync(5_000)
  const kinds = (await Promise.all(hung)).map(({ kind }) => kind)
  expect(kinds.filter((kind) => kind === 'failed')).toHaveLength(65)
  expect(kinds.filter((kind) => kind === 'limited')).toHaveLength(5)
  // The one that began is still with the system, and is all that this sandbox may have there.
  expect([...waiting.keys()]).toEqual(['0.slow.example'])
  expect(lanes.load).toEqual({ running: 1, waiting: 0 })
  waiting.get('0.slow.example')?.('192.0.2.1')
  await vi.waitFor(() => expect(lanes.load).toEqual({ running: 0, waiting: 0 }))
})

test('who stops waiting is gone at once', async () => {
  const { lookup: open, waiting } = openLookups()
  const resolver = new Resolver({ lookup: open, lanes: lookupLanes(4) })
  const abort = new AbortController()
  const first = resolver.resolve('a.example', abort.signal)
  const second = resolver.resolve('a.example', signal)
  abort.abort()
  await expect(first).rejects.toMatchObject({ code: 'ABORTED' })
  await vi.waitFor(() => expect(waiting.size).toBe(1))
  waiting.get('a.example')?.('192.0.2.1')
  expect((await second).kind).toBe('addresses')
})
