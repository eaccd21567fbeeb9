import { z } from 'zod'
import { createLogger, InvalidInputError, type LogFields, type Logger, LOG_LEVELS, logLevelFrom } from './base/index.ts'
import { PACKAGES_DEFAULTS, type PackagesOptions, type ResolvedPackagesOptions } from './packages/index.ts'
import { type RemoteCacheOptions, remoteCacheOptionsSchema } from './remote/index.ts'
import { callback, type Language, limits, parseOptions } from './sandbox/index.ts'

/** How sandboxes are made unless they say otherwise. */
export interface SchedulerOptions {
  /** Memory of each VM in MiB, 128–65536. @default 256 */
  readonly memoryMb?: number
  /** Virtual CPUs of each VM, 1–8. @default 1 */
  readonly cpus?: number
  /** Time limit of each run in milliseconds, 1 000–86 400 000. @default 30 000 */
  readonly timeoutMs?: number
  /** A session unused for this many milliseconds closes itself; 0 = never. @default 300 000 */
  readonly idleTimeoutMs?: number
  /**
   * `kvm` or `tcg`; `auto` takes KVM where a probe has shown that it runs our kernel, else TCG.
   * @default $EXEC_SANDBOX_ACCELERATOR, else 'auto'
   */
  readonly accelerator?: Accelerator
  /**
   * `off` runs QEMU without its jail, for containers that forbid namespaces: a guest that takes over QEMU then has the
   * rights of this process. @default 'required'
   */
  readonly jail?: JailMode
  /**
   * VMs kept ready per language, 0–64 each, with the scheduler's memory and processors: a run that asks for no others takes
   * one and has its result milliseconds later. @default {}
   */
  readonly warmPool?: WarmPoolSizes
  /**
   * How often the host's memory and processors are promised: VMs use little of what they may use. 1–100.
   * @default { memory: 5, cpu: 2 }
   */
  readonly overcommit?: { readonly memory?: number; readonly cpu?: number }
  /**
   * What is kept free for everything else: a fraction of the host's memory (0–0.9), and processors.
   * @default { memory: 0.08, cpu: 0.5 }
   */
  readonly reserve?: { readonly memory?: number; readonly cpu?: number }
  /** Milliseconds that a launch waits for room on this host, 0–86 400 000. @default 120 000 */
  readonly admissionTimeoutMs?: number
  /** Which packages may be installed, and where they come from. */
  readonly packages?: PackagesOptions
  /**
   * Where installed packages are shared with other hosts: a bucket of S3, or of a store that speaks its protocol. Whoever may
   * write there decides what they hold, and whoever may read there has them. Needs `npm install @aws-sdk/client-s3`.
   * @default nowhere
   */
  readonly remoteCache?: RemoteCacheOptions
  /**
   * MiB of disk for templates, and as many for installed packages; the least recently used go first. 0 = save no templates, and
   * keep the packages installed last alone. @default 20 000
   */
  readonly cacheLimitMb?: number
  /** @default $EXEC_SANDBOX_CACHE_DIR, else $XDG_CACHE_HOME/exec-sandbox, else ~/.cache/exec-sandbox */
  readonly cacheDir?: string
  /** @default /run/exec-sandbox for root, else $XDG_RUNTIME_DIR/exec-sandbox */
  readonly runtimeDir?: string
  /** What it throws is ignored. @default silent, or lines on stderr from the level that $EXEC_SANDBOX_LOG_LEVEL names */
  readonly logger?: Logger
}

/** What holds where neither the scheduler nor the sandbox says otherwise; sizes in MiB, times in milliseconds. */
export const DEFAULTS = {
  memoryMb: 256,
  cpus: 1,
  timeoutMs: 30_000,
  idleTimeoutMs: 300_000,
  overcommit: { memory: 5, cpu: 2 },
  reserve: { memory: 0.08, cpu: 0.5 },
  admissionTimeoutMs: 120_000,
  cacheLimitMb: 20_000,
} as const

export type WarmPoolSizes = Partial<Readonly<Record<Language, number>>>

export const ACCELERATORS = ['auto', 'kvm', 'tcg'] as const
export type Accelerator = (typeof ACCELERATORS)[number]
export const JAIL_MODES = ['required', 'off'] as const
export type JailMode = (typeof JAIL_MODES)[number]

/** Scheduler options after defaults, environment and checks. */
export interface ResolvedSchedulerOptions {
  readonly memoryMb: number
  readonly cpus: number
  readonly timeoutMs: number
  readonly idleTimeoutMs: number
  readonly accelerator: Accelerator
  readonly jail: JailMode
  readonly warmPool: WarmPoolSizes
  readonly overcommit: { readonly memory: number; readonly cpu: number }
  readonly reserve: { readonly memory: number; readonly cpu: number }
  readonly admissionTimeoutMs: number
  readonly packages: ResolvedPackagesOptions
  readonly remoteCache: RemoteCacheOptions | undefined
  readonly cacheLimitMb: number
  readonly cacheDir: string | undefined
  readonly runtimeDir: string | undefined
  readonly logger: Logger
}

const loggerLike = z.custom<Logger>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    ['debug', 'info', 'warn', 'error'].every((level) => typeof Reflect.get(value, level) === 'function'),
  'expected an object with the methods debug, info, warn and error',
)

/** More would be a server of its own: each VM of a pool holds 20 MB and its share of the budget. */
const poolSize = z.number().int().min(0).max(64).optional()

const factor = z.number().min(1).max(100).optional()

const schema = z.strictObject({
  memoryMb: limits.memoryMb.optional(),
  cpus: limits.cpus.optional(),
  timeoutMs: limits.timeoutMs.optional(),
  idleTimeoutMs: limits.idleTimeoutMs.optional(),
  accelerator: z.enum(ACCELERATORS).optional(),
  jail: z.enum(JAIL_MODES).optional(),
  warmPool: z.strictObject({ python: poolSize, javascript: poolSize, bash: poolSize }).optional(),
  overcommit: z.strictObject({ memory: factor, cpu: factor }).optional(),
  reserve: z
    .strictObject({ memory: z.number().min(0).max(0.9).optional(), cpu: z.number().min(0).max(1_024).optional() })
    .optional(),
  admissionTimeoutMs: z.number().int().min(0).max(86_400_000).optional(),
  packages: z
    .strictObject({
      policy: callback.optional(),
      pythonIndexUrl: z.string().min(1).max(2_048).optional(),
      pythonExtraIndexUrls: z.array(z.string().min(1).max(2_048)).max(10).optional(),
      npmRegistryUrl: z.string().min(1).max(2_048).optional(),
      imports: z.enum(['warm', 'lazy']).optional(),
      timeoutMs: z.number().int().min(10_000).max(86_400_000).optional(),
      memoryMb: z.number().int().min(512).max(65_536).optional(),
    })
    .optional(),
  remoteCache: remoteCacheOptionsSchema.optional(),
  cacheLimitMb: z.number().int().min(0).max(1_000_000_000).optional(),
  cacheDir: z.string().min(1).optional(),
  runtimeDir: z.string().min(1).optional(),
  logger: loggerLike.optional(),
})

/**
 * Checks the options, then the environment, and fills in the defaults.
 * @throws InvalidInputError naming the option or variable
 */
export function resolveSchedulerOptions(
  options: SchedulerOptions,
  environment: Readonly<Record<string, string | undefined>>,
): ResolvedSchedulerOptions {
  parseOptions(schema, options)
  return Object.freeze({
    memoryMb: options.memoryMb ?? DEFAULTS.memoryMb,
    cpus: options.cpus ?? DEFAULTS.cpus,
    timeoutMs: options.timeoutMs ?? DEFAULTS.timeoutMs,
    idleTimeoutMs: options.idleTimeoutMs ?? DEFAULTS.idleTimeoutMs,
    accelerator: options.accelerator ?? acceleratorFrom(environment),
    jail: options.jail ?? 'required',
    warmPool: Object.freeze({ ...options.warmPool }),
    overcommit: Object.freeze({ ...DEFAULTS.overcommit, ...options.overcommit }),
    reserve: Object.freeze({ ...DEFAULTS.reserve, ...options.reserve }),
    admissionTimeoutMs: options.admissionTimeoutMs ?? DEFAULTS.admissionTimeoutMs,
    packages: Object.freeze({ ...PACKAGES_DEFAULTS, ...options.packages }),
    remoteCache: options.remoteCache === undefined ? undefined : Object.freeze({ ...options.remoteCache }),
    cacheLimitMb: options.cacheLimitMb ?? DEFAULTS.cacheLimitMb,
    cacheDir: options.cacheDir,
    runtimeDir: options.runtimeDir,
    logger: options.logger === undefined ? defaultLogger(environment) : harmless(options.logger),
  })
}

/** Lines are written where processes are watched and ended: a logger that throws there must not leave one behind. */
function harmless(logger: Logger): Logger {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields?: LogFields): void => {
      try {
        logger[level](message, fields)
      } catch {
        // The logger is the caller's; what it throws says nothing about the VM.
      }
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function acceleratorFrom(environment: Readonly<Record<string, string | undefined>>): Accelerator {
  const value = environment['EXEC_SANDBOX_ACCELERATOR']
  if (value === undefined || value === '') return 'auto'
  const accelerator = ACCELERATORS.find((name) => name === value)
  if (accelerator !== undefined) return accelerator
  throw new InvalidInputError(
    `EXEC_SANDBOX_ACCELERATOR: expected one of ${ACCELERATORS.join(', ')}, got ${JSON.stringify(value)}`,
    { field: 'EXEC_SANDBOX_ACCELERATOR' },
  )
}

function defaultLogger(environment: Readonly<Record<string, string | undefined>>): Logger {
  const level = logLevelFrom(environment)
  if (level !== undefined) return createLogger(level)
  throw new InvalidInputError(
    `EXEC_SANDBOX_LOG_LEVEL: expected one of ${LOG_LEVELS.join(', ')}, got ${JSON.stringify(environment['EXEC_SANDBOX_LOG_LEVEL'])}`,
    { field: 'EXEC_SANDBOX_LOG_LEVEL' },
  )
}
