import type { PoolEntry } from '../../src/pool/index.ts'

/** The answers that a test lets an entry give when it is asked whether it is alive. */
type Answer = (alive: boolean) => void

/** An entry of a pool whose every move the test decides. It dies when it is closed, unless it is told to take its time. */
export class TestEntry implements PoolEntry {
  readonly ended: Promise<void>
  hasEnded = false
  /** Set by the test: asked, it waits for the test's word instead of answering yes at once. */
  isSilent = false
  /** Set by the test: closed, it waits for `die` instead of dying at once. */
  isSlowToClose = false
  closes = 0
  readonly asked: Answer[] = []
  readonly #settle: () => void

  constructor() {
    let settle: () => void = () => undefined
    this.ended = new Promise((resolve) => {
      settle = resolve
    })
    this.#settle = settle
  }

  /** Its end, by event, as when its process is killed. */
  die(): void {
    this.#settle()
  }

  async isAlive(): Promise<boolean> {
    return await new Promise((resolve) => {
      this.asked.push(resolve)
      if (!this.isSilent) resolve(true)
    })
  }

  async close(): Promise<void> {
    this.closes += 1
    if (!this.isSlowToClose) this.#settle()
    await this.ended
  }
}

/** A fill in progress. */
export interface Fill {
  readonly signal: AbortSignal
  readonly finish: (entry: TestEntry) => void
  readonly fail: (error: unknown) => void
}

/** Hands fills to the test: it decides when each ends, and how. */
export class TestFiller {
  readonly fills: Fill[] = []
  readonly #arrivals: (() => void)[] = []
  #seen = 0

  readonly fill = async (signal: AbortSignal): Promise<TestEntry> =>
    await new Promise((finish, fail) => {
      this.fills.push({ signal, finish, fail })
      this.#arrivals.shift()?.()
    })

  /** The next fill that the pool starts, or has started and nobody has asked for. */
  async next(): Promise<Fill> {
    const index = this.#seen
    this.#seen += 1
    if (this.fills.length <= index) await new Promise<void>((resolve) => this.#arrivals.push(resolve))
    const fill = this.fills[index]
    if (fill === undefined) throw new Error('a fill was announced that did not come')
    return fill
  }

  /** Lets the pool start and finish its next fill. */
  async supply(): Promise<TestEntry> {
    const fill = await this.next()
    const entry = new TestEntry()
    fill.finish(entry)
    await turn()
    return entry
  }
}

/** Lets everything happen that is due without a timer. */
export async function turn(): Promise<void> {
  for (let count = 0; count < 3; count += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** What has become of a promise when everything has happened that is due without a timer. */
export async function stateOf(promise: Promise<unknown>): Promise<'waiting' | 'resolved' | 'rejected'> {
  let state: 'waiting' | 'resolved' | 'rejected' = 'waiting'
  promise.then(
    () => (state = 'resolved'),
    () => (state = 'rejected'),
  )
  await turn()
  return state
}

/** What a promise settles with: its value, or the error it rejects with. Observed from the call on. */
export async function outcomeOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.catch((error: unknown) => error)
}
