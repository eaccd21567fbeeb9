/** Counters of a pool since it was made. */
export interface PoolStats {
  /** Entries the pool is to keep ready, those that are, and fills in progress. */
  readonly size: number
  readonly idle: number
  readonly filling: number
  /** Check-outs that got an entry, and that got none. */
  readonly hits: number
  readonly misses: number
  /** hits / (hits + misses); undefined before the first check-out. */
  readonly hitRate: number | undefined
  /** Entries that ended or stopped to answer while they were idle. */
  readonly died: number
  /** Fills that failed; that the host had no room is not counted. */
  readonly fillFailures: number
  /** Milliseconds that the last fill took; undefined before the first. */
  readonly lastFillMs: number | undefined
}
