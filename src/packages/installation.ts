import { open } from 'node:fs/promises'
import { z } from 'zod'
import { PackageError, throwIfAborted } from '../base/index.ts'
import {
  installedPackagesSchema,
  moduleNamesSchema,
  type LayerFacts,
  type LayerWork,
  type PackageLanguage,
} from '../layer/index.ts'
import type { CommandResult } from '../sandbox/index.ts'
import { explainFailure } from './explain-failure.ts'
import { programCommand } from './guest-programs.ts'
import type { IndexAccess } from './index-access.ts'
import { defaultIndex, fileHosts, type IndexHost } from './index-hosts.ts'
import { installEnvironment } from './install-environment.ts'
import { InstallLog } from './install-log.ts'
import type { InstallingVm } from './installing-vm.ts'

export interface InstallationRequest {
  readonly language: PackageLanguage
  readonly specs: readonly string[]
  readonly access: IndexAccess
  /** Rules of a network policy that reach indexes and the hosts that their pages name, and nothing else. */
  readonly rulesFor: (indexes: readonly IndexHost[], files: readonly IndexHost[]) => Promise<readonly string[]>
  /** The index as the guest knows it: this machine itself has another name there. */
  readonly asGuestKnows: (access: IndexAccess) => IndexAccess
  readonly redact: (text: string) => string
  readonly onLine: (line: string) => void
  readonly timeoutMs: number
}

/** The disk that the guest makes. */
const DISK = '/tmp/layer.erofs'

/** mkfs.erofs: measured in docs/decisions/0017-packages.md. */
const EROFS_OPTIONS = ['-zlz4', '-C65536']

/** As the image's own files (src/image/mmdebstrap.ts): zip archives cannot hold times before 1980. */
const FILE_TIME = '1754697600'

/** More is no layer: what the VM holds is less. */
const MOST_DISK_BYTES = 16 * 2 ** 30

/** Milliseconds that making the disk of it may take, and listing what is in it. */
const SEAL_TIMEOUT_MS = 900_000
const LIST_TIMEOUT_MS = 120_000

/**
 * Installs packages in a VM that nobody else has, and writes the disk that the guest has made of them. From the first code of a
 * package on, what the guest says is that code's word: the host takes it as bytes of a bounded number, and as text to show.
 * @throws PackageError with the installer's own words · what ended the VM · AbortedError
 */
export async function installPackages(
  vm: InstallingVm,
  request: InstallationRequest,
  work: LayerWork,
): Promise<LayerFacts> {
  const { signal } = work
  const log = new InstallLog(request.redact, request.onLine)
  const env = await openIndexes(vm, request, signal)
  await runInstaller(vm, { request, env, log }, signal)
  // Whatever the packages have left running there has nobody to talk to.
  await vm.allow([])
  await seal(vm, signal)
  const facts = await listPackages(vm, request, signal)
  await copyDisk(vm, work)
  return facts
}

/** Lets the VM reach the indexes and the hosts of their files; returns the installer's environment. */
async function openIndexes(
  vm: InstallingVm,
  request: InstallationRequest,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const { language, specs, rulesFor } = request
  const access = request.asGuestKnows(request.access)
  const main = access.main ?? (await defaultIndex(vm, language, signal))
  const indexes = [main, ...access.further.map(({ index }) => index)]
  await vm.allow(await rulesFor(indexes, []))
  const files = await fileHosts(vm, { language, specs, access, main, signal })
  await vm.allow(await rulesFor(indexes, files))
  return installEnvironment(language, access, main)
}

async function runInstaller(
  vm: InstallingVm,
  what: {
    readonly request: InstallationRequest
    readonly env: Readonly<Record<string, string>>
    readonly log: InstallLog
  },
  signal: AbortSignal,
): Promise<void> {
  const { request, env, log } = what
  const { language, specs, timeoutMs } = request
  const command = await programCommand(language === 'python' ? 'python.sh' : 'javascript.sh', specs)
  const write = (text: string): void => log.write(text)
  const end = await vm.commands.run(command, { env, timeoutMs, signal, onStdout: write, onStderr: write })
  log.end()
  if (end.exitCode === 0 && end.reason === 'exit') return
  const output = log.tail()
  const { exitCode, reason } = end
  const { message, retryable } = explainFailure({ what: specs.join(' '), exitCode, reason, output, timeoutMs })
  throw new PackageError(
    message,
    { ...(specs[0] !== undefined && specs.length === 1 ? { spec: specs[0] } : {}), output },
    { retryable },
  )
}

async function seal(vm: InstallingVm, signal: AbortSignal): Promise<void> {
  const command = await programCommand('seal.sh', [FILE_TIME, ...EROFS_OPTIONS])
  const end = await vm.commands.run(command, { timeoutMs: SEAL_TIMEOUT_MS, signal })
  if (end.exitCode === 0) return
  throw sealError('No disk could be made of the installed packages', end)
}

const listSchema = z.object({ packages: installedPackagesSchema, modules: z.array(z.string()).max(1_000) })

async function listPackages(
  vm: InstallingVm,
  { specs }: InstallationRequest,
  signal: AbortSignal,
): Promise<LayerFacts> {
  const command = await programCommand('list-packages.py', specs)
  const end = await vm.commands.run(command, { timeoutMs: LIST_TIMEOUT_MS, signal })
  const parsed = listSchema.safeParse(end.exitCode === 0 ? parseJson(end.stdout) : undefined)
  if (!parsed.success) throw sealError('The installed packages could not be listed', end)
  // Which modules there are only says what can be imported ahead.
  const modules = moduleNamesSchema.safeParse(parsed.data.modules)
  return { packages: parsed.data.packages, modules: modules.success ? modules.data : [] }
}

function sealError(what: string, end: CommandResult): PackageError {
  const full = /No space left/i.test(end.stderr) || end.reason === 'memory'
  const why = full ? 'they do not fit into the installing VM' : `the program for it ended with ${end.exitCode}`
  return new PackageError(`${what}: ${why}`, { output: end.stderr.slice(-4_096) }, { retryable: false })
}

/** Copies the disk into the layer's file. The guest may say what it likes about its size: no more than it said is taken. */
async function copyDisk(vm: InstallingVm, work: LayerWork): Promise<void> {
  const { size } = await vm.files.stat(DISK, { signal: work.signal })
  if (size > MOST_DISK_BYTES) throw tooLarge(size)
  await work.room(size)
  const file = await open(work.disk, 'w')
  try {
    let written = 0
    const content = await vm.files.read(DISK, { format: 'stream', maxBytes: size, signal: work.signal })
    for await (const piece of content) {
      throwIfAborted(work.signal)
      await file.writeFile(piece)
      written += piece.byteLength
    }
    if (written !== size) {
      throw new PackageError(
        `The disk of the installed packages has ${written} bytes instead of ${size}`,
        {},
        { retryable: true },
      )
    }
  } finally {
    await file.close()
  }
}

function tooLarge(size: number): PackageError {
  const message = `The disk of the installed packages is too large: expected at most ${MOST_DISK_BYTES} bytes, got ${size}`
  return new PackageError(message, {}, { retryable: false })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
