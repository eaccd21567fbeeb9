export { type AtomicWriteOptions, writeFileAtomic, writeJsonAtomic } from './atomic-file.ts'
export { readBootId } from './boot-id.ts'
export { type BubblewrapFact, findBubblewrap, findInPath, jailConditions, type JailMaker } from './bubblewrap.ts'
export { type CgroupFact, findCgroup } from './cgroups.ts'
export { type CommandOutcome, runCommand } from './command.ts'
export { FileLock, type FileLockOptions } from './file-lock.ts'
export { findKvmDevice, KVM_DEVICE, type KvmDeviceFact } from './kvm-device.ts'
export { memoryPressure, parsePressure } from './memory-pressure.ts'
export {
  type HostPaths,
  jailVerdictFile,
  lockFile,
  parseTemplateName,
  type PathOverrides,
  qemuFeaturesFile,
  resolvePaths,
  templateLockFile,
  type TemplatePaths,
  templatePaths,
  templateWorkPaths,
  uidLockFile,
  verdictFile,
} from './paths.ts'
export { clockKey, processorKey } from './processor.ts'
export { findResources, freeDiskBytes, type HostResources } from './resources.ts'
export { jailUidRange, type UidRange } from './uid-range.ts'
