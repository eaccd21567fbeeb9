export {
  type FetchOptions,
  type LayerToPublish,
  REMOTE_CACHE_LIMITS,
  RemoteCache,
  type RemoteCacheContext,
  type RemoteCacheLimits,
  type RemoteCacheStats,
  type RemoteLayer,
} from './remote-cache.ts'
export { type RemoteCacheOptions, remoteCacheOptionsSchema } from './remote-cache-options.ts'
