import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LaneFullError, Lanes } from './lanes.ts'

interface Job {
  readonly start: () => Promise<void>
  readonly end: () => void
}

function job(log: string[], name: string): Job {
  let end: () => void = () => undefined
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  return {
    end: () => end(),
    start: async () => {
      log.push(name)
      await ended
    },
  }
}

const turn = async (): Promise<void> => await new Promise((resolve) => setImmediate(resolve))

test('lanes take turns, whoever asked for more', async () => {
  const lanes = new Lanes({ slots: 1, slotsPerLane: 1, maxWaitingPerLane: 10 })
  const [a, b] = [{}, {}]
  const log: string[] = []
  const jobs = ['a1', 'a2', 'a3', 'b1', 'b2'].map((name) => ({ ...job(log, name), name }))
  const runs = jobs.map(async ({ start, name }) => await lanes.run(name.startsWith('a') ? a : b, start))
  for (const _ of jobs) {
    await turn()
    jobs.find(({ name }) => name === log.at(-1))?.end()
  }
  await Promise.all(runs)
  expect(log).toEqual(['a1', 'b1', 'a2', 'b2', 'a3'])
  expect(lanes.load).toEqual({ running: 0, waiting: 0 })
})

test('a lane that is full says so, and an aborted job leaves its line', async () => {
  const lanes = new Lanes({ slots: 1, slotsPerLane: 1, maxWaitingPerLane: 1 })
  const log: string[] = []
  const [first, second, third] = [job(log, 'first'), job(log, 'second'), job(log, 'third')]
  const key = {}
  const abort = new AbortController()
  const running = lanes.run(key, first.start)
  const waiting = lanes.run(key, second.start, abort.signal)
  await expect(lanes.run(key, third.start)).rejects.toBeInstanceOf(LaneFullError)
  abort.abort()
  await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
  const next = lanes.run(key, third.start)
  first.end()
  third.end()
  await Promise.all([running, next])
  expect(log).toEqual(['first', 'third'])
})

test('a job that throws gives its slot back', async () => {
  const lanes = new Lanes({ slots: 1, slotsPerLane: 1, maxWaitingPerLane: 1 })
  await expect(lanes.run({}, async () => await Promise.reject(new Error('broken')))).rejects.toThrow('broken')
  expect(await lanes.run({}, async () => await Promise.resolve(1))).toBe(1)
})

test('never more at once than there are slots, and nobody is forgotten', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 4 }),
      fc.array(
        fc.record({ lane: fc.integer({ min: 0, max: 3 }), turns: fc.integer({ min: 0, max: 3 }), abort: fc.boolean() }),
        {
          maxLength: 30,
        },
      ),
      async (slots, slotsPerLane, asked) => {
        const lanes = new Lanes({ slots, slotsPerLane, maxWaitingPerLane: 100 })
        const keys = [{}, {}, {}, {}]
        const running = [0, 0, 0, 0]
        const outcomes = asked.map(async ({ lane, turns, abort }) => {
          const controller = new AbortController()
          const run = lanes.run(
            keys[lane] ?? {},
            async () => {
              running[lane] = (running[lane] ?? 0) + 1
              expect(running[lane]).toBeLessThanOrEqual(slotsPerLane)
              expect(running.reduce((sum, count) => sum + count)).toBeLessThanOrEqual(slots)
              for (let count = 0; count < turns; count += 1) await Promise.resolve()
              running[lane] = (running[lane] ?? 0) - 1
            },
            controller.signal,
          )
          if (abort) controller.abort()
          await run.catch((error: unknown) => expect(error).toMatchObject({ code: 'ABORTED' }))
        })
        await Promise.all(outcomes)
        expect(lanes.load).toEqual({ running: 0, waiting: 0 })
      },
    ),
  )
})
