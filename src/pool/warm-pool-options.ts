import type { Logger } from '../base/index.ts'
import type { PoolEntry } from './pool-entry.ts'

export interface WarmPoolOptions<T extends PoolEntry> {
  /** Whose pool it is, for the log. */
  readonly name: string
  /** Entries kept ready, 0 or more. */
  readonly size: number
  /**
   * Makes one entry, unused and ready for use. It has its own deadlines; when `signal` aborts it ends soon, either way,
   * and leaves nothing behind. The pool owns what it returns.
   */
  readonly fill: (signal: AbortSignal) => Promise<T>
  readonly logger: Logger
  /** @default 30 000 */
  readonly heartbeatMs?: number
}
