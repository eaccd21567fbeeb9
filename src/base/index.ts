export { abortedError, type DeadlineOptions, throwIfAborted, untilAborted, withDeadline } from './deadline.ts'
export { errnoOf } from './errno.ts'
export {
  AbortedError,
  BootError,
  CapacityError,
  DependencyError,
  type ErrorCode,
  type ErrorDetails,
  EXIT_CODES,
  FileError,
  InvalidInputError,
  PackageError,
  ProtocolError,
  SandboxClosedError,
  SandboxError,
  VmLostError,
} from './errors.ts'
export { createLogger, LOG_LEVELS, type LogFields, type LogLevel, type Logger, logLevelFrom } from './logger.ts'
export { TextRing } from './ring.ts'
export { SharedWork } from './shared-work.ts'
