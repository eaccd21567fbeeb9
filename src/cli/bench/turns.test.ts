import { describe, expect, it } from 'vitest'
import { durations, Recorder } from './recorder.ts'
import { rotated, takeTurns } from './turns.ts'

const key = (name: string) => durations('scenario', 'measure', 'python', 'product', name)
const signal = new AbortController().signal

describe('takeTurns', () => {
  it('lets each begin in turn, as often as it wants', async () => {
    const order: string[] = []
    const contestant = (name: string, rounds?: number) => ({
      key: key(name),
      measure: async () => {
        order.push(name)
        return await Promise.resolve({ value: order.length })
      },
      ...(rounds === undefined ? {} : { rounds }),
    })
    const recorder = new Recorder()
    await takeTurns([contestant('a'), contestant('b'), contestant('c', 1)], { rounds: 3, recorder, signal })
    expect(order.join('')).toBe('abcbaab')
    expect(recorder.result().series.map(({ name, values }) => [name, values.length])).toEqual([
      ['a', 3],
      ['b', 3],
      ['c', 1],
    ])
  })

  it('drops one that fails, tells why, and goes on with the others', async () => {
    const recorder = new Recorder()
    let failures = 0
    const failing = async () => {
      failures += 1
      return await Promise.reject(new Error('out of order'))
    }
    const contestants = [
      { key: key('good'), measure: async () => await Promise.resolve({ value: 1 }) },
      { key: key('bad'), measure: failing },
    ]
    await takeTurns(contestants, { rounds: 3, recorder, signal })
    expect(failures).toBe(1)
    expect(recorder.result()).toMatchObject({
      series: [{ name: 'good', values: [1, 1, 1] }],
      failed: [{ what: 'scenario, python: bad', why: 'out of order' }],
    })
  })

  it('ends at once when it is aborted, and takes no failure for one', async () => {
    const controller = new AbortController()
    const recorder = new Recorder()
    const measure = async () => {
      controller.abort()
      return await Promise.reject(new Error('killed'))
    }
    const turns = { rounds: 3, recorder, signal: controller.signal }
    await expect(takeTurns([{ key: key('a'), measure }], turns)).rejects.toMatchObject({ code: 'ABORTED' })
    expect(recorder.result().failed).toEqual([])
  })
})

describe('rotated', () => {
  it('keeps all, and begins with another each round', () => {
    expect([0, 1, 2, 3].map((round) => rotated(['a', 'b', 'c'], round).join(''))).toEqual(['abc', 'bca', 'cab', 'abc'])
    expect(rotated([], 4)).toEqual([])
  })
})
