import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { errnoOf, type Logger, throwIfAborted } from '../base/index.ts'
import { type HostPaths, writeJsonAtomic } from '../host/index.ts'
import { digestFile, digestTree } from './content-key.ts'

/** Kinds of things that are built once and kept by content key. */
export type ComponentKind = 'kernel' | 'qemu' | 'runtime' | 'rootfs' | 'initramfs' | 'bun' | 'uv'

/** A built component: a directory that is never written again. */
export interface Component {
  readonly kind: ComponentKind
  readonly key: string
  readonly directory: string
  /** What the build found out: versions. */
  readonly facts: Readonly<Record<string, string>>
  /** Each file that the component promises, or for a tree the directory, with its digest. */
  readonly artifacts: Readonly<Record<string, Artifact>>
  readonly buildMs: number
  /** True when nothing had to be built. */
  readonly cached: boolean
}

const artifactSchema = z.object({ digest: z.string(), size: z.number(), files: z.number() })
export type Artifact = z.infer<typeof artifactSchema>

/** Format of `component.json`: a component written by another format is built again. */
const COMPONENT_FORMAT = 1
const DESCRIPTION = 'component.json'

const descriptionSchema = z.object({
  format: z.literal(COMPONENT_FORMAT),
  facts: z.record(z.string(), z.string()),
  artifacts: z.record(z.string(), artifactSchema),
  buildMs: z.number(),
})

export interface ComponentRequest {
  readonly kind: ComponentKind
  readonly key: string
  /** Fills `directory` and names the artifacts: `tree` digests a directory, `file` a single file. */
  readonly build: (directory: string) => Promise<BuiltComponent>
  readonly signal: AbortSignal
  readonly logger: Logger
}

export interface BuiltComponent {
  readonly facts: Readonly<Record<string, string>>
  readonly artifacts: Readonly<Record<string, 'file' | 'tree'>>
}

/**
 * Returns the component from the store or builds it. Must be called under the build lock. A stored component whose
 * digests do not fit any more is thrown away and built again; a build that fails or is aborted leaves nothing.
 */
export async function provideComponent(paths: HostPaths, request: ComponentRequest): Promise<Component> {
  const directory = join(paths.build, request.kind, request.key)
  const stored = await readComponent(directory, request)
  if (stored !== undefined) return stored
  await rm(directory, { recursive: true, force: true })
  return await withTemporaryDirectory(paths, request.kind, async (temporary) => {
    const output = join(temporary, 'component')
    await mkdir(output)
    const startedAt = performance.now()
    const built = await request.build(output)
    const artifacts: Record<string, Artifact> = {}
    for (const [name, type] of Object.entries(built.artifacts)) {
      artifacts[name] = await digestArtifact(join(output, name), type, request.signal)
    }
    const description = {
      format: COMPONENT_FORMAT,
      facts: built.facts,
      artifacts,
      buildMs: Math.round(performance.now() - startedAt),
    }
    await writeJsonAtomic(join(output, DESCRIPTION), description)
    throwIfAborted(request.signal)
    await mkdir(join(paths.build, request.kind), { recursive: true })
    await rename(output, directory)
    return { kind: request.kind, key: request.key, directory, cached: false, ...description }
  })
}

/** Runs `body` with a fresh directory below the cache's own temporary directory and removes it afterwards. */
export async function withTemporaryDirectory<T>(
  paths: HostPaths,
  name: string,
  body: (directory: string) => Promise<T>,
): Promise<T> {
  const directory = join(temporaryDirectory(paths), `${name}-${randomBytes(6).toString('hex')}`)
  await mkdir(directory, { recursive: true, mode: 0o755 })
  try {
    return await body(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Removes what builders that died have left. Must be called under the build lock: nobody else builds then. */
export async function removeStaleTemporaries(paths: HostPaths): Promise<void> {
  await rm(temporaryDirectory(paths), { recursive: true, force: true })
}

/** Removes stored components that are not in `keep`. */
export async function removeOtherComponents(
  paths: HostPaths,
  keep: readonly { readonly kind: string; readonly key: string }[],
): Promise<void> {
  const kinds: readonly ComponentKind[] = ['kernel', 'qemu', 'runtime', 'rootfs', 'initramfs', 'bun', 'uv']
  for (const kind of kinds) {
    for (const key of await listDirectory(join(paths.build, kind))) {
      if (keep.some((kept) => kept.kind === kind && kept.key === key)) continue
      await rm(join(paths.build, kind, key), { recursive: true, force: true })
    }
  }
}

/** Names in a directory; none when it does not exist. */
export async function listDirectory(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

function temporaryDirectory(paths: HostPaths): string {
  return join(paths.build, 'tmp')
}

async function readComponent(directory: string, request: ComponentRequest): Promise<Component | undefined> {
  let text: string
  try {
    text = await readFile(join(directory, DESCRIPTION), 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
  const description = descriptionSchema.safeParse(parseJson(text))
  if (!description.success) {
    request.logger.warn('a stored component is not readable and is built again', { kind: request.kind })
    return undefined
  }
  for (const [name, artifact] of Object.entries(description.data.artifacts)) {
    if (await isIntact(join(directory, name), artifact, request.signal)) continue
    request.logger.warn('a stored component is damaged and is built again', { kind: request.kind, file: name })
    return undefined
  }
  return { kind: request.kind, key: request.key, directory, cached: true, ...description.data }
}

async function isIntact(path: string, artifact: Artifact, signal: AbortSignal): Promise<boolean> {
  try {
    return (await digestArtifact(path, artifact.files < 0 ? 'file' : 'tree', signal)).digest === artifact.digest
  } catch (error) {
    throwIfAborted(signal)
    if (errnoOf(error) === undefined) throw error
    return false
  }
}

/** `files` is −1 for a single file, the number of regular files for a tree. */
async function digestArtifact(path: string, type: 'file' | 'tree', signal: AbortSignal): Promise<Artifact> {
  if (type === 'tree') return await digestTree(path, { signal })
  const { size } = await stat(path)
  return { digest: await digestFile(path, signal), size, files: -1 }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
