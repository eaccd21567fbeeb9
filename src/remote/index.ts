export { RemoteCache, type LayerToPublish, REMOTE_CACHE_LIMITS, type RemoteCacheContext } from './remote-cache.ts'
export { type RemoteCacheLimits, type RemoteCacheStats, type RemoteLayer } from './remote-cache.ts'
export { type RemoteCacheOptions, remoteCacheOptionsSchema } from './remote-cache-options.ts'
