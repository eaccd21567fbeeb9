import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { UploadQueue } from './upload-queue.ts'

interface Job {
  readonly key: string
  readonly finish: () => void
  readonly signal: AbortSignal
}

/** A queue whose work ends when the test says so. */
function controlled(concurrency: number, capacity: number) {
  const running: Job[] = []
  const queue = new UploadQueue({ concurrency, capacity })
  const add = (key: string) =>
    queue.add(key, async (signal) => {
      await new Promise<void>((resolve) => {
        const job: Job = {
          key,
          signal,
          finish: () => {
            running.splice(running.indexOf(job), 1)
            resolve()
          },
        }
        signal.addEventListener('abort', job.finish)
        running.push(job)
      })
    })
  return { queue, running, add }
}

const settle = async (): Promise<void> => await new Promise((resolve) => setImmediate(resolve))

test('never more at once or in line than may, each key once, in the order they came', async () => {
  const action = fc.oneof(fc.record({ add: fc.nat({ max: 12 }) }), fc.record({ finish: fc.nat({ max: 3 }) }))
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
      const { queue, running, add } = controlled(2, 3)
      const line: string[] = []
      let active: string[] = []
      for (const next of actions) {
        if ('add' in next) {
          const key = `k${next.add}`
          const expected =
            active.includes(key) || line.includes(key)
              ? 'duplicate'
              : active.length < 2
                ? 'added'
                : line.length < 3
                  ? 'added'
                  : 'full'
          expect(add(key)).toBe(expected)
          if (expected === 'added') (active.length < 2 ? active : line).push(key)
        } else {
          const job = running[next.finish]
          if (job === undefined) continue
          job.finish()
          await settle()
          active = active.filter((key) => key !== job.key)
          const first = line.shift()
          if (first !== undefined) active.push(first)
        }
        expect(running.map(({ key }) => key).toSorted()).toEqual(active.toSorted())
      }
      await queue.close({ timeoutMs: 0 })
      expect(running).toEqual([])
    }),
  )
})

test('close waits for what is under way and in line', async () => {
  const { queue, running, add } = controlled(1, 5)
  add('a')
  add('b')
  let closed = false
  const closing = queue.close({ timeoutMs: 60_000 }).then(() => (closed = true))
  expect(add('c')).toBe('closed')
  running[0]?.finish()
  await settle()
  expect(running.map(({ key }) => key)).toEqual(['b'])
  expect(closed).toBe(false)
  running[0]?.finish()
  await closing
})

test('close without patience aborts what is under way and forgets what is in line', async () => {
  const { queue, running, add } = controlled(1, 5)
  add('a')
  add('b')
  const [job] = running
  await queue.close({ timeoutMs: 0 })
  expect(job?.signal.aborted).toBe(true)
  expect(running).toEqual([])
})

test('close ends its wait when its signal does', async () => {
  const { queue, running, add } = controlled(1, 5)
  add('a')
  const [job] = running
  const giveUp = new AbortController()
  const closing = queue.close({ timeoutMs: 2 ** 31 - 1, signal: giveUp.signal })
  await settle()
  expect(job?.signal.aborted).toBe(false)
  giveUp.abort()
  await closing
  expect(job?.signal.aborted).toBe(true)
  expect(running).toEqual([])
})
