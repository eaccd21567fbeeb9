import { describe, expect, it } from 'vitest'
import { SharedWork } from './shared-work.ts'

describe('SharedWork', () => {
  it('gives one result to all who join', async () => {
    let times = 0
    const work = new SharedWork(async () => {
      times += 1
      return 42
    })
    expect(await Promise.all([work.join(undefined), work.join(undefined)])).toEqual([42, 42])
    expect(times).toBe(1)
  })

  it('is stopped when the last one has aborted, not before', async () => {
    let stopped: AbortSignal | undefined
    const work = new SharedWork(async (signal) => {
      stopped = signal
      return await new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true })
      })
    })
    const [first, second] = [new AbortController(), new AbortController()]
    const joined = [work.join(first.signal), work.join(second.signal)]
    first.abort()
    await expect(joined[0]).rejects.toMatchObject({ code: 'ABORTED' })
    expect([stopped?.aborted, work.abandoned]).toEqual([false, false])
    second.abort()
    await expect(joined[1]).rejects.toMatchObject({ code: 'ABORTED' })
    expect([stopped?.aborted, work.abandoned]).toEqual([true, true])
  })

  it('tells its failure to those who wait', async () => {
    const work = new SharedWork(async () => {
      throw new Error('broken')
    })
    await expect(work.join(undefined)).rejects.toThrow('broken')
  })
})
