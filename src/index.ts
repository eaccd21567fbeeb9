export {
  AbortedError,
  BootError,
  CapacityError,
  createLogger,
  DependencyError,
  type ErrorCode,
  type ErrorDetails,
  FileError,
  InvalidInputError,
  type LogFields,
  type Logger,
  type LogLevel,
  PackageError,
  ProtocolError,
  SandboxClosedError,
  SandboxError,
  VmLostError,
} from './base/index.ts'
export type { AdmissionStats } from './admission/index.ts'
export { Sandbox } from './default-scheduler.ts'
export type { PoolStats } from './pool/index.ts'
export type { LauncherStats } from './snapshot/index.ts'
export type {
  DisplayedValue,
  EndReason,
  Language,
  OutputCallback,
  ProgramError,
  RunCodeOptions,
  RunResult,
  SandboxEnd,
  SandboxInfo,
  SandboxOptions,
  Source,
  Timing,
  Usage,
} from './sandbox/index.ts'
export { type RunOptions, Scheduler, type SchedulerStats } from './scheduler.ts'
export type { Accelerator, JailMode, SchedulerOptions, WarmPoolSizes } from './scheduler-options.ts'
