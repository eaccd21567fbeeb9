export type { PoolEntry } from './pool-entry.ts'
export type { PoolStats } from './pool-stats.ts'
export { WarmPool } from './warm-pool.ts'
export type { WarmPoolOptions } from './warm-pool-options.ts'
