import { access, constants } from 'node:fs/promises'
import { arch, platform } from 'node:os'
import { dirname } from 'node:path'
import { DependencyError, type Logger, SandboxError, throwIfAborted } from '../base/index.ts'
import {
  type BubblewrapFact,
  findBubblewrap,
  findCgroup,
  findKvmDevice,
  findResources,
  freeDiskBytes,
  type HostPaths,
  resolvePaths,
} from '../host/index.ts'
import { type Image, openImage } from '../image/index.ts'
import { TemplateStore } from '../snapshot/index.ts'
import { type AcceleratorVerdict, decideAccelerator, formatVersion, programFile } from '../qemu/index.ts'
import { DEFAULTS } from '../scheduler-options.ts'

export type DoctorStatus = 'ok' | 'warn' | 'fail'

/** One fact the product depends on. */
export interface DoctorFact {
  /** Stable name for programs, e.g. `bubblewrap`. */
  readonly id: string
  readonly status: DoctorStatus
  /** What was found, for people. */
  readonly detail: string
  /** The command or step that mends it; only with `warn` and `fail`. */
  readonly fix?: string
}

/** What `sbx doctor --json` prints. Fields and fact ids are stable; facts may be added. */
export interface DoctorReport {
  /** The worst status of all facts. */
  readonly status: DoctorStatus
  readonly facts: readonly DoctorFact[]
}

export interface DoctorOptions {
  readonly env: NodeJS.ProcessEnv
  readonly logger: Logger
  readonly signal?: AbortSignal | undefined
}

/** Oldest Node that the product runs on (package.json, engines). */
const OLDEST_NODE: readonly [number, number] = [20, 19]

/** A VM of the default size with QEMU's own memory beside it. */
const ONE_VM_BYTES = 400 * 2 ** 20

/** An image build downloads and unpacks about this much; templates come on top. */
const ROOMY_DISK_BYTES = 4 * 2 ** 30

/** Looks at everything the product depends on, by trying where asking would prove nothing. Works without an image. */
export async function runDoctor(options: DoctorOptions): Promise<DoctorReport> {
  const paths = resolvePaths(options.env)
  const bubblewrap = await findBubblewrap(options.env)
  const [image, imageFact] = await lookAtImage(paths, options.env)
  const facts = [
    platformFact(),
    jailFact(bubblewrap),
    imageFact,
    ...(await qemuFacts(options, paths, image, bubblewrap)),
    await kvmFact(),
    await cgroupFact(),
    ...(await resourceFacts(paths)),
    await templatesFact(options, paths, image),
  ]
  return { status: worst(facts), facts }
}

function platformFact(): DoctorFact {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [oldestMajor, oldestMinor] = OLDEST_NODE
  const detail = `${platform()} ${arch()}, Node ${process.versions.node}`
  if (platform() !== 'linux' || arch() !== 'x64') {
    return { id: 'platform', status: 'fail', detail, fix: 'use a Linux host with an x86-64 processor' }
  }
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    return { id: 'platform', status: 'fail', detail, fix: `install Node ${oldestMajor}.${oldestMinor} or later` }
  }
  return { id: 'platform', status: 'ok', detail }
}

function jailFact(fact: BubblewrapFact): DoctorFact {
  if (fact.state !== 'usable') return { id: 'jail', status: 'fail', detail: fact.reason, fix: fact.fix }
  const how =
    fact.maker.kind === 'root'
      ? `made by root; each VM has a uid of its own from ${fact.maker.uids.first}`
      : 'made in a user namespace'
  return { id: 'jail', status: 'ok', detail: `bubblewrap ${fact.version} (${fact.path}), ${how}` }
}

async function lookAtImage(paths: HostPaths, env: NodeJS.ProcessEnv): Promise<[Image | undefined, DoctorFact]> {
  try {
    const image = await openImage({ paths, env })
    return [image, { id: 'image', status: 'ok', detail: `${image.id} in ${image.directory}` }]
  } catch (error) {
    return [undefined, failure('image', error, 'sbx image build')]
  }
}

/** QEMU and the accelerator. The verdict needs an image and a jail: without them it says what it waits for. */
async function qemuFacts(
  options: DoctorOptions,
  paths: HostPaths,
  image: Image | undefined,
  bubblewrap: BubblewrapFact,
): Promise<readonly DoctorFact[]> {
  if (image === undefined) return waitingFor('an image', 'sbx image build')
  if (bubblewrap.state !== 'usable') return waitingFor('a jail', bubblewrap.fix)
  try {
    const verdict = await decideAccelerator({
      requested: 'auto',
      jail: 'required',
      image,
      paths,
      env: options.env,
      logger: options.logger,
      signal: options.signal,
    })
    return [qemuFact(verdict), acceleratorFact(verdict)]
  } catch (error) {
    throwIfAborted(options.signal)
    const id = error instanceof DependencyError && error.details.dependency === 'qemu' ? 'qemu' : 'accelerator'
    return [failure(id, error, 'sbx image verify')]
  }
}

function waitingFor(what: string, fix: string): readonly DoctorFact[] {
  return ['qemu', 'accelerator'].map((id) => ({ id, status: 'warn', detail: `not known before there is ${what}`, fix }))
}

function qemuFact(verdict: AcceleratorVerdict): DoctorFact {
  const { features, program } = verdict
  const whose = program.named ? 'named by EXEC_SANDBOX_QEMU' : 'of the image'
  const detail = `${formatVersion(features.version)} ${whose} (${programFile(program)}), CPU ${features.cpu.model} under TCG`
  return { id: 'qemu', status: 'ok', detail }
}

function acceleratorFact(verdict: AcceleratorVerdict): DoctorFact {
  const when = verdict.source === 'remembered' ? ' (found out earlier in this boot of the host)' : ''
  return { id: 'accelerator', status: 'ok', detail: `${verdict.accelerator}: ${verdict.reason}${when}` }
}

async function kvmFact(): Promise<DoctorFact> {
  const fact = await findKvmDevice()
  if (fact.state === 'openable')
    return { id: 'kvm-device', status: 'ok', detail: '/dev/kvm opens; the accelerator line tells whether it works' }
  if (fact.state === 'denied') return { id: 'kvm-device', status: 'warn', detail: fact.reason, fix: fact.fix }
  return { id: 'kvm-device', status: 'ok', detail: `${fact.reason}; VMs run on software emulation (TCG)` }
}

async function cgroupFact(): Promise<DoctorFact> {
  const named = process.env['EXEC_SANDBOX_CGROUP'] || undefined
  const fact = await findCgroup({ named }).catch((error: unknown) => {
    return { state: 'not-delegated', reason: error instanceof Error ? error.message : String(error) } as const
  })
  if (fact.state === 'delegated') return { id: 'cgroup', status: 'ok', detail: `v2, delegated: ${fact.directory}` }
  return {
    id: 'cgroup',
    status: 'warn',
    detail: `${fact.reason}; VMs are bounded by rlimits and their own memory size only`,
    fix: 'run under a delegated cgroup, e.g. systemd-run --user --scope -p Delegate=yes …',
  }
}

async function resourceFacts(paths: HostPaths): Promise<readonly DoctorFact[]> {
  const { cpus, memoryBytes, memoryAvailableBytes, boundedBy } = findResources()
  const bound = boundedBy === 'cgroup' ? ', bounded by a cgroup' : ''
  const memory = `${size(memoryAvailableBytes)} available of ${size(memoryBytes)}${bound}`
  const free = await freeDiskBytes(paths.cacheDir)
  const disk = `${size(free)} free for ${paths.cacheDir}`
  return [
    { id: 'cpus', status: 'ok', detail: `${Number(cpus.toFixed(2))}${bound}` },
    memoryAvailableBytes >= ONE_VM_BYTES
      ? { id: 'memory', status: 'ok', detail: memory }
      : { id: 'memory', status: 'warn', detail: memory, fix: 'free some memory: one VM takes about 400 MB' },
    await cacheFact(paths),
    free >= ROOMY_DISK_BYTES
      ? { id: 'disk', status: 'ok', detail: disk }
      : {
          id: 'disk',
          status: 'warn',
          detail: disk,
          fix: 'free some disk, or set EXEC_SANDBOX_CACHE_DIR to a larger file system',
        },
  ]
}

async function cacheFact(paths: HostPaths): Promise<DoctorFact> {
  // The nearest directory that exists tells whether the cache can be made; looking must not change anything.
  for (let at = paths.cacheDir; ; at = dirname(at)) {
    const state = await access(at, constants.W_OK | constants.X_OK).then(
      () => 'writable',
      (error: NodeJS.ErrnoException) => error.code ?? error.message,
    )
    if (state === 'ENOENT' && dirname(at) !== at) continue
    if (state === 'writable') return { id: 'cache', status: 'ok', detail: paths.cacheDir }
    const fix = 'set EXEC_SANDBOX_CACHE_DIR to a directory that this user can write'
    return { id: 'cache', status: 'fail', detail: `${paths.cacheDir} cannot be written: ${state} at ${at}`, fix }
  }
}

async function templatesFact(options: DoctorOptions, paths: HostPaths, image: Image | undefined): Promise<DoctorFact> {
  const limitBytes = DEFAULTS.cacheLimitMb * 2 ** 20
  try {
    const templates = await new TemplateStore({ paths, limitBytes, logger: options.logger }).list()
    const bytes = templates.reduce((sum, template) => sum + template.bytes, 0)
    const current = templates.filter(({ manifest }) => manifest?.spec.imageId === image?.id && manifest !== undefined)
    const useless = templates.filter((template) => template.useless).length
    const detail = `${templates.length}, ${current.length} of them of the image in use; ${size(bytes)} of at most ${size(limitBytes)}`
    if (useless === 0) return { id: 'templates', status: 'ok', detail }
    return { id: 'templates', status: 'warn', detail: `${detail}; ${useless} unusable`, fix: 'sbx cache prune' }
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    const fix = 'set EXEC_SANDBOX_CACHE_DIR to a directory that this user can read'
    return { id: 'templates', status: 'warn', detail: `cannot be listed: ${detail}`, fix }
  }
}

function failure(id: string, error: unknown, fix: string): DoctorFact {
  const detail = error instanceof Error ? error.message : String(error)
  const own = error instanceof SandboxError && 'fix' in error.details ? String(error.details.fix) : fix
  return { id, status: 'fail', detail, fix: own }
}

function worst(facts: readonly DoctorFact[]): DoctorStatus {
  if (facts.some(({ status }) => status === 'fail')) return 'fail'
  return facts.some(({ status }) => status === 'warn') ? 'warn' : 'ok'
}

function size(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`
}
