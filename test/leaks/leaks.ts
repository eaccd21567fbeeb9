import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect, promisify } from 'node:util'
import { expect } from 'vitest'

/** What a process holds when everything it used is closed. Memory in bytes, after garbage collection. */
export interface Holdings {
  readonly block: number
  readonly descriptors: number
  readonly processes: number
  readonly runtimeFiles: number
  readonly scratchFiles: number
  readonly resources: number
  readonly rss: number
  readonly heap: number
}

export interface Load {
  readonly blocks: number
  /** Of each block. */
  readonly runs: number
  readonly sessions: number
}

const CHILD = fileURLToPath(new URL('use-child.mjs', import.meta.url))

/**
 * V8 goes on compiling for thousands of calls, and forgets code that was not used for a while: by heap snapshots that was all
 * that grew from block to block. Interpreted and kept, code has its size after the first block, and what grows is data.
 */
const STEADY_CODE = ['--expose-gc', '--no-opt', '--no-sparkplug', '--no-flush-bytecode']

/** Uses the product in a process of its own; gives what that process held after each block. */
export async function holdingsUnder(load: Load): Promise<readonly Holdings[]> {
  const directory = await mkdtemp(join(tmpdir(), 'sandbox-leaks-'))
  const scratch = await mkdtemp(join(tmpdir(), 'sandbox-scratch-'))
  try {
    const numbers = [load.blocks, load.runs, load.sessions].map(String)
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [...STEADY_CODE, CHILD, ...numbers, directory, scratch],
      { maxBuffer: 10_000_000 },
    ).catch((error: unknown) => {
      // By itself the error says neither with what the process ended nor how far it had come.
      throw new Error(`the process that uses the product failed: ${inspect(error)}`, { cause: error })
    })
    return stdout
      .trim()
      .split('\n')
      .map((line): Holdings => JSON.parse(line))
  } finally {
    await rm(directory, { recursive: true, force: true })
    await rm(scratch, { recursive: true, force: true })
  }
}

/**
 * Checks that what is held does not grow. The first block loads modules and compiles code; from the second on nothing new
 * is needed.
 * @param heapPerUse bytes of heap that one run or session may leave for good: less than the smallest object that could leak
 * by one each, plus what V8's own bookkeeping moves
 * @param rssPerUse bytes of resident memory, which moves by pages
 */
export function expectFlat(samples: readonly Holdings[], load: Load, heapPerUse: number, rssPerUse: number): void {
  const table = samples.map((sample) => JSON.stringify(sample)).join('\n')
  const [, second] = samples
  const last = samples.at(-1)
  if (second === undefined || last === undefined || samples.length < 3) throw new RangeError('expected three blocks')
  expect(samples.length, table).toBe(load.blocks)
  for (const sample of samples.slice(1)) {
    expect(sample.processes, table).toBe(0)
    expect(sample.descriptors, table).toBe(second.descriptors)
    expect(sample.runtimeFiles, table).toBe(second.runtimeFiles)
    expect(sample.scratchFiles, table).toBe(second.scratchFiles)
    expect(sample.resources, table).toBe(second.resources)
  }
  const uses = (last.block - second.block) * (load.runs + load.sessions)
  expect((last.heap - second.heap) / uses, table).toBeLessThan(heapPerUse)
  expect((last.rss - second.rss) / uses, table).toBeLessThan(rssPerUse)
}
