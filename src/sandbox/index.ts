export { checkCode, INPUT_LIMITS } from './input-checks.ts'
export { detectLanguage, LANGUAGE_NAMES, LANGUAGES, type Language, parseLanguage } from './language.ts'
export {
  checkRunCodeOptions,
  type DisplayedValue,
  limits,
  type OutputCallback,
  parseOptions,
  type ResolvedSandboxOptions,
  resolveSandboxOptions,
  type RunCodeOptions,
  type SandboxDefaults,
  type SandboxOptions,
} from './options.ts'
export {
  type EndReason,
  OUTPUT_LIMITS,
  type ProgramError,
  type RunResult,
  type Source,
  type Timing,
  type Usage,
} from './result.ts'
export { Sandbox, type SandboxEnd, type SandboxInfo } from './sandbox.ts'
