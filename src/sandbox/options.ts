import { z } from 'zod'
import { InvalidInputError } from '../base/index.ts'
import { parsePackageSpecs } from '../layer/index.ts'
import { type FileContent, resolveContent } from './files/content.ts'
import { resolveGuestPath } from './guest-path.ts'
import { checkEnv } from './input-checks.ts'
import { type Language, parseLanguage } from './language.ts'
import { type NetworkOptions, type NetworkPolicy, parseNetworkPolicy } from '../network/index.ts'
import { callback, parseOptions, signal } from './parse-options.ts'
import { checkPorts, type PortOption, type PortRequest } from './ports/port-options.ts'

/** What a sandbox is made with. Also accepted by `Scheduler.run`. */
export interface SandboxOptions {
  /** `python`, `javascript` (also TypeScript and JSX) or `bash`; aliases `py js ts node sh shell raw`. @default 'python' */
  readonly language?: string
  /**
   * Packages of the language, ≤ 50: for Python a name with extras and versions (`pandas==2.2.3`, `httpx[http2]>=0.27`), for
   * JavaScript one with a version, range or tag (`zod@^4`). Installed once, in a VM of their own whose network reaches only
   * the index; then kept, and ready in every sandbox that asks for the same. @default []
   */
  readonly packages?: readonly string[]
  /** Gets each line that the installer of `packages` writes. Not called when they are installed already. What it throws is ignored. */
  readonly onInstallLog?: (line: string) => void
  /** Memory of the VM in MiB, 128–65536. @default the scheduler's `memoryMb` */
  readonly memoryMb?: number
  /** Virtual CPUs, 1–8. @default the scheduler's `cpus` */
  readonly cpus?: number
  /** Time limit of each run in milliseconds, 1 000–86 400 000. @default the scheduler's `timeoutMs` */
  readonly timeoutMs?: number
  /** A session unused for this many milliseconds closes itself; 0 = never. @default the scheduler's `idleTimeoutMs` */
  readonly idleTimeoutMs?: number
  /** Environment of every program in the sandbox: ≤ 100 entries. @default {} */
  readonly env?: Readonly<Record<string, string>>
  /**
   * Files to write before anything runs: path in the guest → content, as for `sandbox.files.write`. A directory of the
   * host is written as a whole. ≤ 1 000 entries. @default {}
   */
  readonly files?: Readonly<Record<string, FileContent>>
  /**
   * What programs may reach: `false` nothing, `true` everything public, or rules (docs/network.md). @default false
   */
  readonly network?: NetworkOptions
  /**
   * Ports of the guest to make reachable on 127.0.0.1 of this host, ≤ 50: their numbers, or with the port of the host. A port of
   * the host that is in use is refused before there is a VM. @default []
   */
  readonly ports?: readonly PortOption[]
  /** Gets each line of the boot log (kernel, agent) as it comes, without its end. What it throws is ignored. */
  readonly onBootLog?: (line: string) => void
  /** Your own notes, returned by `info()`. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Ends the creation, and for `run` the run. */
  readonly signal?: AbortSignal
}

/** Called with text as it arrives and the bytes it was decoded from. A returned promise slows the program down. */
export type OutputCallback = (text: string, bytes: Uint8Array) => void | Promise<void>

/** Options of one `runCode`. */
export interface RunCodeOptions {
  /** @default the sandbox's language */
  readonly language?: string
  /** Name of an independent interpreter within the sandbox: letters, digits, `-`, `_`, at most 64. @default 'default' */
  readonly context?: string
  /** Environment for this call only. @default {} */
  readonly env?: Readonly<Record<string, string>>
  /** Milliseconds, 1 000–86 400 000. @default the sandbox's */
  readonly timeoutMs?: number
  readonly onStdout?: OutputCallback
  readonly onStderr?: OutputCallback
  /** Called with each displayed value as it arrives. */
  readonly onResult?: (value: DisplayedValue) => void | Promise<void>
  /** Ends the program and rejects the call with AbortedError; the session stays alive. */
  readonly signal?: AbortSignal
}

/** A displayed value: MIME type → data, and `text` for its `text/plain` form. */
export interface DisplayedValue {
  readonly text?: string
  readonly [mimeType: string]: unknown
}

/** A file of `SandboxOptions.files`. */
export interface FileToWrite {
  /** Absolute. */
  readonly path: string
  readonly content: FileContent
}

/** Options after defaults and checks. */
export interface ResolvedSandboxOptions {
  readonly language: Language
  /** In one form and order: equal ones are the same. */
  readonly packages: readonly string[]
  readonly onInstallLog: ((line: string) => void) | undefined
  readonly memoryMb: number
  readonly cpus: number
  readonly timeoutMs: number
  readonly idleTimeoutMs: number
  readonly env: Readonly<Record<string, string>>
  readonly files: readonly FileToWrite[]
  readonly network: NetworkPolicy
  readonly ports: readonly PortRequest[]
  readonly onBootLog: ((line: string) => void) | undefined
  readonly metadata: Readonly<Record<string, string>>
  readonly signal: AbortSignal | undefined
}

export type SandboxDefaults = Pick<ResolvedSandboxOptions, 'memoryMb' | 'cpus' | 'timeoutMs' | 'idleTimeoutMs'>

export const limits = {
  memoryMb: z.number().int().min(128).max(65_536),
  cpus: z.number().int().min(1).max(8),
  timeoutMs: z.number().int().min(1_000).max(86_400_000),
  idleTimeoutMs: z.number().int().min(0).max(86_400_000),
} as const

const sandboxSchema = z.strictObject({
  language: z.string().optional(),
  packages: z.unknown().optional(),
  onInstallLog: callback.optional(),
  memoryMb: limits.memoryMb.optional(),
  cpus: limits.cpus.optional(),
  timeoutMs: limits.timeoutMs.optional(),
  idleTimeoutMs: limits.idleTimeoutMs.optional(),
  env: z.unknown().optional(),
  files: z.record(z.string(), z.unknown()).optional(),
  network: z.unknown().optional(),
  ports: z.unknown().optional(),
  onBootLog: callback.optional(),
  metadata: z.record(z.string().max(256), z.string().max(4096)).optional(),
  signal: signal.optional(),
})

export const contextName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1–64 letters, digits, "-" or "_"')

const runCodeSchema = z.strictObject({
  language: z.string().optional(),
  context: contextName.optional(),
  env: z.unknown().optional(),
  timeoutMs: limits.timeoutMs.optional(),
  onStdout: callback.optional(),
  onStderr: callback.optional(),
  onResult: callback.optional(),
  signal: signal.optional(),
})

/**
 * Checks the options of a sandbox and fills in the defaults.
 * @throws InvalidInputError naming the option, what was expected and what was given · PackageError for a spec
 */
export function resolveSandboxOptions(options: SandboxOptions, defaults: SandboxDefaults): ResolvedSandboxOptions {
  parseOptions(sandboxSchema, options)
  const language = parseLanguage(options.language ?? 'python')
  return Object.freeze({
    language,
    packages: Object.freeze(parsePackageSpecs(options.packages ?? [], language)),
    onInstallLog: options.onInstallLog,
    memoryMb: options.memoryMb ?? defaults.memoryMb,
    cpus: options.cpus ?? defaults.cpus,
    timeoutMs: options.timeoutMs ?? defaults.timeoutMs,
    idleTimeoutMs: options.idleTimeoutMs ?? defaults.idleTimeoutMs,
    env: checkEnv(options.env, 'env'),
    files: Object.freeze(checkFiles(options.files ?? {})),
    network: parseNetworkPolicy(options.network ?? false),
    ports: Object.freeze(checkPorts(options.ports)),
    onBootLog: options.onBootLog,
    metadata: Object.freeze({ ...options.metadata }),
    signal: options.signal,
  })
}

/** More belong into a directory of the host. */
const MAX_FILES = 1_000

function checkFiles(files: Readonly<Record<string, FileContent>>): readonly FileToWrite[] {
  const entries = Object.entries(files)
  if (entries.length > MAX_FILES) {
    throw new InvalidInputError(`files: expected at most ${MAX_FILES} entries, got ${entries.length}`, {
      field: 'files',
    })
  }
  return entries.map(([path, content]) => {
    const field = `files.${path.slice(0, 64)}`
    resolveContent(content, field)
    return { path: resolveGuestPath(path, field), content }
  })
}

/**
 * Checks the copies that a one-shot run makes at its end: path in the guest → path of the host.
 * @throws InvalidInputError before any VM work
 */
export function checkDownloads(downloads: unknown): readonly (readonly [path: string, hostPath: string])[] {
  parseOptions(downloadsSchema, { downloads })
  const entries = Object.entries(downloadsSchema.parse({ downloads }).downloads ?? {})
  for (const [path] of entries) resolveGuestPath(path, `downloads.${path.slice(0, 64)}`)
  return entries
}

const downloadsSchema = z.object({ downloads: z.record(z.string(), z.string().min(1)).optional() })

/** Checks the options of one run; see `RunCodeOptions` for the defaults, which the sandbox fills in. */
export function checkRunCodeOptions(options: RunCodeOptions): void {
  parseOptions(runCodeSchema, options)
}
