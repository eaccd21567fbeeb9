/** What a pool needs of the things it keeps ready. */
export interface PoolEntry {
  /** Settles when the entry is dead, whatever the cause. */
  readonly ended: Promise<unknown>
  /**
   * True as soon as the entry itself knows that it is of no use any more, which is before `ended` has settled: a VM
   * whose channel broke is lost at once, and dead when its process is. Read at each check-out. @default false
   */
  readonly hasEnded?: boolean
  /** Whether it answers. Has a deadline of its own, and answers false rather than throw when that has passed. */
  isAlive(): Promise<boolean>
  /** Ends it and waits until it is dead and nothing of it is left. Safe at any time, any number of times. */
  close(): Promise<void>
}
