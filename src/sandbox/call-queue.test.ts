import { describe, expect, it } from 'vitest'
import { CallQueue } from './call-queue.ts'

describe('CallQueue', () => {
  it('lets calls through one at a time, in order', async () => {
    const queue = new CallQueue()
    const order: string[] = []
    const call = async (name: string): Promise<void> => {
      const leave = await queue.enter(undefined)
      order.push(`${name} in`)
      await Promise.resolve()
      order.push(`${name} out`)
      leave()
    }
    await Promise.all([call('a'), call('b'), call('c')])
    expect(order).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out'])
  })

  it('forgets a waiter whose signal aborts, and the others keep their turn', async () => {
    const queue = new CallQueue()
    const leave = await queue.enter(undefined)
    const controller = new AbortController()
    const aborted = queue.enter(controller.signal)
    const next = queue.enter(undefined)
    controller.abort(new Error('why'))
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED', cause: new Error('why') })
    leave()
    const leaveNext = await next
    leaveNext()
  })

  it('lets all in when there is nothing left to take turns on', async () => {
    const queue = new CallQueue()
    await queue.enter(undefined)
    const waiting = [queue.enter(undefined), queue.enter(undefined)]
    queue.open()
    await Promise.all(waiting)
    await queue.enter(undefined)
  })

  it('refuses to let the number of waiters grow without bound', async () => {
    const queue = new CallQueue()
    await queue.enter(undefined)
    const waiting = Array.from({ length: 1_000 }, async () => await queue.enter(undefined))
    await expect(queue.enter(undefined)).rejects.toMatchObject({ code: 'CAPACITY' })
    expect(waiting).toHaveLength(1_000)
  })

  it('ends a turn once, however often it is left', async () => {
    const queue = new CallQueue()
    const leave = await queue.enter(undefined)
    const second = queue.enter(undefined)
    const third = queue.enter(undefined)
    leave()
    leave()
    await second
    expect(await Promise.race([third.then(() => 'entered'), Promise.resolve('waiting')])).toBe('waiting')
  })
})
