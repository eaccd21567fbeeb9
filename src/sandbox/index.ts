export type { CommandHandle, CommandResult } from './commands/command-handle.ts'
export type { CommandOptions, RunCommandOptions, StartCommandOptions } from './commands/command-options.ts'
export type { CommandInfo, Commands } from './commands/commands.ts'
export type { OutputChunk } from './commands/output-log.ts'
export type { ContextInfo, ContextOptions, Contexts } from './contexts.ts'
export type { FileContent } from './files/content.ts'
export type { FileInfo, FileType } from './files/file-info.ts'
export type {
  DownloadOptions,
  FileFormat,
  FileOptions,
  ListOptions,
  MakeDirOptions,
  ReadOptions,
  RemoveOptions,
  RenameOptions,
  StatOptions,
  WriteOptions,
} from './files/file-options.ts'
export type { SandboxFiles } from './files/files.ts'
export type { TreeCopy } from './files/host-tree.ts'
export type { FileStream } from './files/read.ts'
export { checkCode, INPUT_LIMITS } from './input-checks.ts'
export { detectLanguage, LANGUAGE_NAMES, LANGUAGES, type Language, parseLanguage } from './language.ts'
export {
  checkDownloads,
  checkRunCodeOptions,
  type DisplayedValue,
  limits,
  type OutputCallback,
  type ResolvedSandboxOptions,
  resolveSandboxOptions,
  type RunCodeOptions,
  type SandboxDefaults,
  type SandboxOptions,
} from './options.ts'
export {
  type Download,
  type EndReason,
  type OneShotResult,
  OUTPUT_LIMITS,
  type ProgramError,
  type ProgramResult,
  type RunResult,
  type Source,
  type Timing,
  type Usage,
} from './result.ts'
export type { SandboxEnd } from './lifetime.ts'
export { callback, parseOptions } from './parse-options.ts'
export { closeListeners, openListeners, type PortListener } from './ports/port-listener.ts'
export { checkPort, type ExposedPort, type PortOption, type PortRequest } from './ports/port-options.ts'
export type { PortMetrics, Ports } from './ports/ports.ts'
export { Sandbox, type SandboxInfo, type SandboxMetrics } from './sandbox.ts'
