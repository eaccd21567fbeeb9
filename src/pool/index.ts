export type { PoolEntry } from './pool-entry.ts'
export type { PoolStats } from './pool-stats.ts'
export { WarmPool, type WarmPoolOptions } from './warm-pool.ts'
