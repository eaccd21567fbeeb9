import { createLogger } from '../../src/base/index.ts'
import { WarmPool } from '../../src/pool/index.ts'
import { type TestEntry, TestFiller } from './test-entry.ts'

/** Longer than any delay after a setback. */
export const PAST_ANY_DELAY_MS = 30_000

/** Longer than the refill waits after a check-out. */
export const PAST_PAUSE_MS = 25

/** Later than any test: its heartbeat is not what a test is about that does not name one. */
const NEVER_MS = 1_000_000_000

export interface TestPool {
  readonly pool: WarmPool<TestEntry>
  readonly filler: TestFiller
  /** What it logged from `warn` on. */
  readonly lines: readonly string[]
}

/** A pool whose fills the test ends. */
export function makePool(size: number, options: { readonly heartbeatMs?: number } = {}): TestPool {
  const filler = new TestFiller()
  const lines: string[] = []
  const pool = new WarmPool({
    name: 'python',
    size,
    fill: filler.fill,
    logger: createLogger('warn', (line) => lines.push(line)),
    heartbeatMs: options.heartbeatMs ?? NEVER_MS,
  })
  return { pool, filler, lines }
}

/** A pool that is full, and what is in it, oldest first. */
export async function fullPool(
  size: number,
  options: { readonly heartbeatMs?: number } = {},
): Promise<TestPool & { readonly entries: readonly TestEntry[] }> {
  const made = makePool(size, options)
  made.pool.start()
  const entries: TestEntry[] = []
  for (let count = 0; count < size; count += 1) entries.push(await made.filler.supply())
  return { ...made, entries }
}
