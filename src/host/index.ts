export { type AtomicWriteOptions, writeFileAtomic, writeJsonAtomic } from './atomic-file.ts'
export { readBootId } from './boot-id.ts'
export { type BubblewrapFact, findBubblewrap, findInPath, jailConditions, type JailMaker } from './bubblewrap.ts'
export { type CgroupFact, findCgroup, type GroupParent } from './cgroups.ts'
export { childrenOf, readProcessUsage } from './process-usage.ts'
export { type GroupLimits, type GroupUsage, removeStaleGroups, VmGroup } from './vm-group.ts'
export { type CommandOutcome, runCommand } from './command.ts'
export {
  allocatedBytes,
  allocatedBytesOf,
  directoryInode,
  EntryDirectory,
  removeDirectory,
} from './entry-directory.ts'
export { chooseEvictions, type EvictionCandidate, inOrderOfEviction } from './eviction.ts'
export { FileLock, type FileLockOptions } from './file-lock.ts'
export { fileIdentity, type FileStamp, hasStamp, writeStamp } from './file-stamp.ts'
export { findKvmDevice, KVM_DEVICE, type KvmDeviceFact } from './kvm-device.ts'
export { memoryPressure, parsePressure } from './memory-pressure.ts'
export {
  type HostPaths,
  jailVerdictFile,
  layerLockFile,
  type LayerPaths,
  layerPaths,
  layerPathsIn,
  lockFile,
  type PathOverrides,
  qemuFeaturesFile,
  resolvePaths,
  templateLockFile,
  type TemplatePaths,
  templatePaths,
  templatePathsIn,
  uidLockFile,
  verdictFile,
} from './paths.ts'
export { clockKey, processorKey } from './processor.ts'
export { findResources, freeDiskBytes, type HostResources } from './resources.ts'
export { jailUidRange, type UidRange } from './uid-range.ts'
export { checkEntry, type EntryProblem, readRegularFile } from './entry-check.ts'
