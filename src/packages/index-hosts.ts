import { z } from 'zod'
import { PackageError } from '../base/index.ts'
import type { PackageLanguage } from '../layer/index.ts'
import { type GuestProgram, programCommand } from './guest-programs.ts'
import type { IndexAccess } from './index-access.ts'
import { type IndexUrl, parseIndexUrl } from './index-url.ts'
import { authorizationFor } from './install-environment.ts'
import type { InstallingVm } from './installing-vm.ts'

/** A host and port that the installer has to reach. */
export type IndexHost = Pick<IndexUrl, 'host' | 'port'>

/** Milliseconds for a tool to say where it would ask. */
const DEFAULT_TIMEOUT_MS = 60_000

/** Milliseconds to read pages of all indexes: some have megabytes. */
const PAGES_TIMEOUT_MS = 180_000

/** Pages of one index that are looked at until one names files. */
const MOST_PAGES = 8

const answerSchema = z.object({
  hosts: z.array(z.tuple([z.enum(['http', 'https']), z.string().max(253), z.int().min(1).max(65_535)])).max(16),
})

/** The index that the tool in the guest asks unless it is told another. No code of a package has run there yet. */
export async function defaultIndex(
  vm: InstallingVm,
  language: PackageLanguage,
  signal: AbortSignal,
): Promise<IndexUrl> {
  const program: GuestProgram = language === 'python' ? 'default-python-index.py' : 'default-npm-registry.py'
  const command = await programCommand(program, [])
  const { exitCode, stdout, stderr } = await vm.commands.run(command, { timeoutMs: DEFAULT_TIMEOUT_MS, signal })
  if (exitCode === 0) return parseIndexUrl(stdout.trim())
  const tool = language === 'python' ? 'pip' : 'Bun'
  throw new PackageError(
    `${tool} did not tell which index it asks; name one in the options or in your configuration`,
    { output: stderr },
    { retryable: true },
  )
}

/**
 * The hosts that indexes name for their files, or redirect to: read from pages of the packages that are asked for, in the
 * guest, so by the same way and with the same authorities as the installer. No code of a package has run there yet.
 * What cannot be read is left out: the installer meets it again, and says so in its own words.
 */
export async function fileHosts(
  vm: InstallingVm,
  request: {
    readonly language: PackageLanguage
    readonly specs: readonly string[]
    readonly access: IndexAccess
    readonly main: IndexUrl
    readonly signal: AbortSignal
  },
): Promise<readonly IndexHost[]> {
  const { language, specs, access, main, signal } = request
  const names = specs.map((spec) => nameOf(spec, language)).slice(0, MOST_PAGES)
  const indexes = [{ index: main, scope: undefined }, ...access.further].map(({ index, scope }) => {
    const authorization = authorizationFor(index, access.credentials)
    return {
      url: index.href,
      names: scope === undefined ? names : names.filter((name) => name.startsWith(`${scope}/`)),
      insecure: access.insecureHosts.includes(index.host),
      ...(authorization === undefined ? {} : { authorization }),
    }
  })
  const command = await programCommand('file-hosts.py', [JSON.stringify({ language, indexes })])
  const { exitCode, stdout } = await vm.commands.run(command, { timeoutMs: PAGES_TIMEOUT_MS, signal })
  const answer = exitCode === 0 ? answerSchema.safeParse(parseJson(stdout)) : undefined
  return answer?.success === true ? answer.data.hosts.map(([, host, port]) => ({ host, port })) : []
}

/** The name in a spec that was checked. */
function nameOf(spec: string, language: PackageLanguage): string {
  if (language === 'python') return spec.replace(/[^A-Za-z0-9._-].*$/, '')
  return spec.replace(/(?<=.)@.*$/, '')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
