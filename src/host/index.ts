export { type AtomicWriteOptions, writeFileAtomic, writeJsonAtomic } from './atomic-file.ts'
export {
  type HostPaths,
  lockFile,
  type PathOverrides,
  resolvePaths,
  uidLockFile,
  verdictFile,
} from './paths.ts'
