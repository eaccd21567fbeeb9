import { describe, expect, it } from 'vitest'
import { type OutputChunk, OutputLog, RETAINED_BYTES } from './output-log.ts'

function chunk(data: string): OutputChunk {
  return { stream: 'stdout', data, bytes: Buffer.from(data) }
}

async function collect(log: OutputLog): Promise<string[]> {
  const seen: string[] = []
  for await (const { data } of log.read()) seen.push(data)
  return seen
}

/** Whether a promise is settled when everything that can happen now has happened. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  void promise.finally(() => (settled = true))
  await new Promise((resolve) => setImmediate(resolve))
  return settled
}

const LARGE = 'x'.repeat(65_536)

describe('the output of a command', () => {
  it('reaches readers that were there, that come late, and that come after the end', async () => {
    const log = new OutputLog()
    const early = collect(log)
    await log.append(chunk('a'))
    const late = collect(log)
    await log.append(chunk('b'))
    log.end()
    await log.append(chunk('after the end'))
    expect([await early, await late, await collect(log)]).toEqual([
      ['a', 'b'],
      ['a', 'b'],
      ['a', 'b'],
    ])
  })

  it('is bounded when nobody reads: the oldest goes, and is counted', async () => {
    const log = new OutputLog()
    for (let index = 0; index < 40; index += 1) await log.append(chunk(`${LARGE}${index}`))
    log.end()
    const kept = await collect(log)
    expect(kept.at(-1)).toBe(`${LARGE}39`)
    const bytes = kept.reduce((sum, { length }) => sum + length, 0)
    expect(bytes).toBeLessThanOrEqual(RETAINED_BYTES)
    expect(bytes).toBeGreaterThan(RETAINED_BYTES - 2 * LARGE.length)
    expect(log.droppedBytes + bytes).toBe(40 * LARGE.length + 70)
  })

  it('counts small pieces for more than their bytes', async () => {
    const log = new OutputLog()
    for (let index = 0; index < 20_000; index += 1) await log.append(chunk('.'))
    log.end()
    expect((await collect(log)).length).toBeLessThan(5_000)
  })

  it('waits for its slowest reader, and for nobody who has left', async () => {
    const log = new OutputLog()
    const reader = log.read()
    const first = reader.next()
    await log.append(chunk('first'))
    expect((await first).value?.data).toBe('first')
    for (let index = 0; index < 15; index += 1) await log.append(chunk(LARGE))
    const held = log.append(chunk(LARGE))
    expect(await isSettled(held)).toBe(false)
    // Another reader that is quick does not help.
    const quick = log.read()
    for (let index = 0; index < 10; index += 1) await quick.next()
    expect(await isSettled(held)).toBe(false)
    await reader.next()
    await reader.next()
    expect(await isSettled(held)).toBe(true)
    const heldAgain = Promise.all([log.append(chunk(LARGE)), log.append(chunk(LARGE)), log.append(chunk(LARGE))])
    expect(await isSettled(heldAgain)).toBe(false)
    await reader.return()
    await quick.return()
    expect(await isSettled(heldAgain)).toBe(true)
  })

  it('ends with its error for whoever reads, and lets go of whoever appends', async () => {
    const log = new OutputLog()
    const reader = log.read()
    const first = reader.next()
    for (let index = 0; index < 16; index += 1) void log.append(chunk(LARGE))
    const held = log.append(chunk(LARGE))
    await first
    const error = new Error('lost')
    log.end(error)
    log.end()
    await held
    await expect(collect(log)).rejects.toBe(error)
  })
})
