import { describe, expect, it } from 'vitest'
import { crowd } from './crowd.ts'

const never = new AbortController().signal
const turn = async (): Promise<void> => await new Promise((resolve) => setImmediate(resolve))

describe('crowd', () => {
  it('runs all of them, never more at once than its width', async () => {
    let running = 0
    let most = 0
    const ends = await crowd(20, 3, never, async () => {
      running += 1
      most = Math.max(most, running)
      await turn()
      running -= 1
    })
    expect(ends).toHaveLength(20)
    expect(most).toBe(3)
    expect(running).toBe(0)
  })

  it('starts no more after a failure, and throws it when the others have ended', async () => {
    let started = 0
    let ended = 0
    const work = async (): Promise<void> => {
      started += 1
      const own = started
      await turn()
      if (own === 1) throw new Error('the first one')
      await turn()
      ended += 1
    }
    await expect(crowd(50, 4, never, work)).rejects.toThrow('the first one')
    expect(started).toBe(4)
    expect(ended).toBe(3)
  })

  it('starts no more after an abort', async () => {
    const controller = new AbortController()
    let started = 0
    const work = async (): Promise<void> => {
      started += 1
      controller.abort()
      await turn()
    }
    await expect(crowd(50, 1, controller.signal, work)).rejects.toMatchObject({ code: 'ABORTED' })
    expect(started).toBe(1)
  })
})
