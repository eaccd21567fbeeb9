import { createHash } from 'node:crypto'
import { readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { AbortedError, errnoOf, type Logger, throwIfAborted, untilAborted } from '../base/index.ts'
import {
  FileLock,
  freeDiskBytes,
  type HostPaths,
  readBootId,
  templateLockFile,
  type TemplatePaths,
  templatePaths,
} from '../host/index.ts'
import { chooseEvictions, type EvictionOptions, expectedBytes, inOrderOfEviction } from './eviction.ts'
import { digestMemory } from './memory-digest.ts'
import { SharedWork } from './shared-work.ts'
import { checkTemplate } from './template-check.ts'
import {
  allocatedBytesOf,
  directoryInode,
  filesToFill,
  makeTemplatesDirectory,
  makeWorkDirectory,
  publishDirectory,
  removeDirectory,
  removeTemplate,
  sealFile,
  sweepWorkDirectories,
  type TemplateFacts,
  type TemplateFiles,
} from './template-files.ts'
import { LAYOUT_FORMAT, templateKey, type TemplateSpec } from './template-key.ts'
import { listTemplates, type TemplateSummary } from './template-list.ts'
import type { TemplateManifest } from './template-manifest.ts'
import { fileIdentity, writeStamp } from './template-stamp.ts'

/** A published template. Its files are never written again; they may be unlinked while VMs use them. */
export interface Template {
  readonly key: string
  readonly directory: string
  readonly ram: string
  readonly state: string
  readonly manifest: TemplateManifest
}

export interface TemplateStoreOptions {
  readonly paths: HostPaths
  /** Bytes that all templates may take of the file system. The one that was built last stays in any case. */
  readonly limitBytes: number
  readonly logger: Logger
}

/** Milliseconds to wait for another process that builds the same template: it boots a VM and saves it. */
const LOCK_TIMEOUT_MS = 120_000

/** Bytes left free on the file system besides what a template will take: it is not ours to fill. */
const RESERVE_BYTES = 64 * 2 ** 20

/** A file system with less than this free is full: QEMU then ends in ways that do not say so (SIGBUS on a page of the RAM file). */
const FULL_BELOW_BYTES = 32 * 2 ** 20

const FULL_ERRORS: readonly string[] = ['ENOSPC', 'EDQUOT', 'EFBIG']
const READ_ONLY_ERRORS: readonly string[] = ['EROFS', 'EACCES', 'EPERM']

/** Attempts at a build that runs out of space: the second one after making room. */
const SPACE_TRIES = 2

/** What `make` threw, apart from what went wrong around it. */
class MakeError extends Error {}

/** The file system has no room for a template even without the others. */
class NoRoomError extends Error {}

/** A template that this process has seen to be good, for as long as its files stay the same. */
interface Known {
  readonly template: Template
  readonly identity: string
}

/**
 * The templates of a cache directory, shared with all other processes that use it. How a template is checked, published
 * and removed: docs/snapshots.md.
 */
export class TemplateStore {
  readonly #paths: HostPaths
  readonly #limitBytes: number
  readonly #logger: Logger
  readonly #known = new Map<string, Known>()
  readonly #looks = new Map<string, SharedWork<Template | undefined>>()
  readonly #builds = new Map<string, Promise<Template | undefined>>()
  readonly #told = new Set<string>()

  constructor(options: TemplateStoreOptions) {
    this.#paths = options.paths
    this.#limitBytes = options.limitBytes
    this.#logger = options.logger
  }

  /**
   * The template of a key, checked. One that is damaged, foreign or swapped is removed and its reason logged; the answer
   * is then undefined, as when there is none. Notes the use.
   * @throws AbortedError, and nothing else
   */
  async open(key: string, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<Template | undefined> {
    throwIfAborted(options.signal)
    let look = this.#looks.get(key)
    if (look === undefined || look.abandoned) {
      const started = new SharedWork(async (signal) => {
        try {
          return await this.#look(key, signal)
        } finally {
          if (this.#looks.get(key) === started) this.#looks.delete(key)
        }
      })
      look = started
      this.#looks.set(key, look)
    }
    return await look.join(options.signal)
  }

  /**
   * The template of a spec, built if there is none: by one process at a time, while the others wait and then find it.
   * Undefined, with one warning per store, when it cannot be kept: no space even without the templates that were not used
   * for longest, a cache that cannot be written, a builder that does not end. Nothing half made stays.
   * @param make fills the files. May be called a second time, with others, after the space ran out
   * @throws AbortedError; what `make` throws for a reason other than space
   */
  async build(
    spec: TemplateSpec,
    make: (files: TemplateFiles) => Promise<TemplateFacts>,
    options: { readonly signal: AbortSignal },
  ): Promise<Template | undefined> {
    const { signal } = options
    const key = templateKey(spec)
    for (let under = this.#builds.get(key); under !== undefined; under = this.#builds.get(key)) {
      // A build that its own caller has given up says nothing about ours.
      const outcome = await untilAborted(
        under.then(
          (template) => ({ template }),
          () => undefined,
        ),
        signal,
      )
      if (outcome !== undefined) return outcome.template
    }
    throwIfAborted(signal)
    const build = this.#buildUnderLock(spec, key, make, signal).finally(() => this.#builds.delete(key))
    this.#builds.set(key, build)
    return await build
  }

  /** Removes a template that turned out to be of no use, unless it was built anew in the meantime. Never throws. */
  async discard(template: Template, why: string): Promise<void> {
    const { key } = template
    this.#logger.warn('a template is of no use and is removed', { template: key, reason: why })
    try {
      const inode = await directoryInode(template.directory)
      const now = await readFile(templatePaths(this.#paths, key).manifest, 'utf8').catch(() => undefined)
      if (now !== undefined && now !== renderManifest(template.manifest)) return
      await removeTemplate(this.#paths, key, inode)
      this.#known.delete(key)
    } catch (error) {
      this.#tellOnce('remove', 'a template cannot be removed', error, key)
    }
  }

  /** All templates of the cache, the one used last first. Digests nothing. */
  async list(): Promise<readonly TemplateSummary[]> {
    return await listTemplates(this.#paths)
  }

  /**
   * Removes the templates that `choose` picks, and what dead builders have left.
   * @throws the system's error when a template cannot be removed
   */
  async prune(
    choose: (templates: readonly TemplateSummary[]) => readonly TemplateSummary[],
  ): Promise<{ readonly removed: readonly TemplateSummary[]; readonly freedBytes: number }> {
    let freedBytes = await sweepWorkDirectories(this.#paths)
    const removed: TemplateSummary[] = []
    for (const template of choose(await this.list())) {
      const bytes = await removeTemplate(this.#paths, template.key)
      this.#known.delete(template.key)
      if (bytes === undefined) continue
      removed.push(template)
      freedBytes += bytes
    }
    return { removed, freedBytes }
  }

  async #look(key: string, signal: AbortSignal): Promise<Template | undefined> {
    const paths = templatePaths(this.#paths, key)
    const identity = await identityOf(paths)
    const known = this.#known.get(key)
    if (known !== undefined && identity !== undefined && known.identity === identity) {
      await this.#noteUse(paths)
      return known.template
    }
    const verdict = await checkTemplate(paths, key, signal)
    if (verdict.kind === 'good') {
      const { directory, ram, state } = paths
      const template = Object.freeze({ key, directory, ram, state, manifest: verdict.manifest })
      if (verdict.digested) this.#logger.debug('a template was digested in full', { template: key })
      if (identity !== undefined) this.#known.set(key, { template, identity })
      await this.#noteUse(paths)
      return template
    }
    this.#known.delete(key)
    if (verdict.kind === 'unknown') this.#tellOnce('unknown', 'templates cannot be looked at', verdict.reason, key)
    if (verdict.kind === 'damaged') await this.#removeDamaged(key, verdict)
    return undefined
  }

  async #removeDamaged(key: string, damage: { readonly reason: string; readonly inode: bigint }): Promise<void> {
    // Where it cannot be removed it is found again and again, and told once.
    const mark = `damaged ${key} ${damage.inode}`
    if (!this.#told.has(mark)) {
      this.#logger.warn('a template is damaged and is removed', { template: key, reason: damage.reason })
    }
    this.#told.add(mark)
    try {
      await removeTemplate(this.#paths, key, damage.inode)
    } catch (error) {
      this.#tellOnce('remove', 'a template cannot be removed', error, key)
    }
  }

  // Best effort: in a cache that cannot be written, nothing is evicted either.
  async #noteUse(paths: TemplatePaths): Promise<void> {
    const now = new Date()
    await utimes(paths.manifest, now, now).catch(() => undefined)
  }

  async #buildUnderLock(
    spec: TemplateSpec,
    key: string,
    make: (files: TemplateFiles) => Promise<TemplateFacts>,
    signal: AbortSignal,
  ): Promise<Template | undefined> {
    try {
      await makeTemplatesDirectory(this.#paths)
      await using _lock = await FileLock.acquire(templateLockFile(this.#paths, key), {
        timeoutMs: LOCK_TIMEOUT_MS,
        onTimeout: () => new Error(`another process has been building for ${LOCK_TIMEOUT_MS / 1000} s`),
        signal,
      })
      const published = await this.open(key, { signal })
      if (published !== undefined) return published
      await this.#sweep()
      return await this.#buildWithRoom(spec, key, make, signal)
    } catch (error) {
      throwIfAborted(signal)
      if (error instanceof MakeError) throw error.cause
      if (error instanceof AbortedError) throw error
      this.#notKept(key, error)
      return undefined
    }
  }

  /** Builds; when the space runs out, makes room and builds once more. */
  async #buildWithRoom(
    spec: TemplateSpec,
    key: string,
    make: (files: TemplateFiles) => Promise<TemplateFacts>,
    signal: AbortSignal,
  ): Promise<Template | undefined> {
    const expected = expectedBytes(spec.memoryMb)
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#evict({ limitBytes: Math.max(0, this.#limitBytes - expected) })
        await this.#makeRoom(expected)
        await this.#buildOnce(spec, key, make, signal)
        await this.#evict({ limitBytes: this.#limitBytes, keep: key })
        return await this.open(key, { signal })
      } catch (error) {
        throwIfAborted(signal)
        if (error instanceof NoRoomError || !(await this.#isFull(error))) throw error
        // The caller's warning is about the space, whatever QEMU said when it ran out of it.
        const full = new NoRoomError(messageOf(error), { cause: error })
        if (attempt === SPACE_TRIES) throw full
        if ((await this.#evictBytes(expected)) === 0) throw full
      }
    }
  }

  async #buildOnce(
    spec: TemplateSpec,
    key: string,
    make: (files: TemplateFiles) => Promise<TemplateFacts>,
    signal: AbortSignal,
  ): Promise<void> {
    const startedAt = performance.now()
    const ramBytes = spec.memoryMb * 2 ** 20
    const work = await makeWorkDirectory(this.#paths, key, ramBytes)
    try {
      const facts = await make(filesToFill(work)).catch((error: unknown) => {
        throw new MakeError(messageOf(error), { cause: error })
      })
      throwIfAborted(signal)
      const manifest = await describe(work, { spec, key, ramBytes, facts, signal })
      await writeFile(work.bootLog, facts.bootLog, { mode: 0o600 })
      await writeFile(work.manifest, renderManifest(manifest), { mode: 0o444, flush: true })
      throwIfAborted(signal)
      await publishDirectory(this.#paths, key, work)
      this.#logger.info('a template was saved', {
        template: key,
        language: spec.language,
        mb: Math.round(manifest.ram.allocated / 2 ** 20),
        ms: Math.round(performance.now() - startedAt),
      })
    } finally {
      // After it was published there is nothing here any more.
      await removeDirectory(work.directory).catch(() => undefined)
    }
  }

  async #sweep(): Promise<void> {
    const freed = await sweepWorkDirectories(this.#paths)
    if (freed > 0)
      this.#logger.info('removed what dead builders of templates had left', { mb: Math.round(freed / 2 ** 20) })
  }

  /** Evicts until the file system has room for so many bytes. @throws NoRoomError */
  async #makeRoom(bytes: number): Promise<void> {
    const needed = bytes + RESERVE_BYTES
    const candidates = [...inOrderOfEviction(await this.list())]
    for (;;) {
      const free = await freeDiskBytes(this.#paths.templates)
      if (free >= needed) return
      const next = candidates.shift()
      if (next === undefined) {
        throw new NoRoomError(`${megabytes(free)} MB free where ${megabytes(needed)} MB are needed`)
      }
      await this.#evictOne(next, 'the file system is full')
    }
  }

  /** Evicts about so many bytes; answers how many. */
  async #evictBytes(bytes: number): Promise<number> {
    let freed = 0
    for (const candidate of inOrderOfEviction(await this.list())) {
      if (freed >= bytes) break
      freed += await this.#evictOne(candidate, 'the file system is full')
    }
    return freed
  }

  async #evict(options: EvictionOptions): Promise<void> {
    for (const candidate of chooseEvictions(await this.list(), options)) {
      await this.#evictOne(candidate, 'the cache has reached its limit')
    }
  }

  async #evictOne(template: TemplateSummary, reason: string): Promise<number> {
    const bytes = (await removeTemplate(this.#paths, template.key)) ?? 0
    this.#known.delete(template.key)
    this.#logger.info('a template was evicted', { template: template.key, reason, mb: megabytes(bytes) })
    return bytes
  }

  async #isFull(error: unknown): Promise<boolean> {
    const cause = error instanceof MakeError ? error.cause : error
    if (FULL_ERRORS.includes(errnoOf(cause) ?? '')) return true
    return (await freeDiskBytes(this.#paths.templates)) < FULL_BELOW_BYTES
  }

  #notKept(key: string, error: unknown): void {
    const code = errnoOf(error) ?? ''
    if (error instanceof NoRoomError || FULL_ERRORS.includes(code)) {
      this.#tellOnce('space', 'no space for templates: VMs boot instead of being resumed', error, key)
    } else if (READ_ONLY_ERRORS.includes(code)) {
      this.#tellOnce('read-only', 'the cache cannot be written: VMs boot instead of being resumed', error, key)
    } else {
      this.#tellOnce('other', 'a template could not be kept', error, key)
    }
  }

  /** The first of its kind is a warning, the others are for those who look closely. */
  #tellOnce(kind: string, message: string, cause: unknown, key: string): void {
    this.#logger[this.#told.has(kind) ? 'debug' : 'warn'](message, { template: key, cause: messageOf(cause) })
    this.#told.add(kind)
  }
}

interface Description {
  readonly spec: TemplateSpec
  readonly key: string
  readonly ramBytes: number
  readonly facts: TemplateFacts
  readonly signal: AbortSignal
}

/** Seals what QEMU has written, digests it and stamps it. */
async function describe(work: TemplatePaths, description: Description): Promise<TemplateManifest> {
  const { spec, key, ramBytes, facts, signal } = description
  await sealFile(work.state)
  await sealFile(work.ram)
  const { size } = await stat(work.ram)
  if (size !== ramBytes) throw new Error(`the RAM file has ${size} bytes instead of ${ramBytes}`)
  const identity = await fileIdentity(work.ram)
  const { sha256, chunks } = await digestMemory(work.ram, { signal })
  await writeStamp(work.stamp, { identity, sha256, bootId: await readBootId() })
  const state = await readFile(work.state)
  if (state.length === 0) throw new Error('nothing was saved: the file of the state is empty')
  return {
    format: LAYOUT_FORMAT,
    key,
    spec: { ...spec, argv: [...spec.argv] },
    createdAt: new Date().toISOString(),
    qemuVersion: facts.qemuVersion,
    savedMs: facts.savedMs,
    ram: {
      size,
      allocated: await allocatedBytesOf(work.ram),
      sha256,
      chunks: chunks.map(([first, count]) => [first, count]),
    },
    state: { size: state.length, sha256: createHash('sha256').update(state).digest('hex') },
  }
}

/** What must be unchanged for a template to be the one that was checked. Undefined when it is not there. */
async function identityOf(paths: TemplatePaths): Promise<string | undefined> {
  try {
    const parts = [
      await directoryInode(paths.directory),
      await fileIdentity(paths.ram),
      await fileIdentity(paths.state),
    ]
    return parts.join('|')
  } catch {
    return undefined
  }
}

function renderManifest(manifest: TemplateManifest): string {
  return `${JSON.stringify(manifest)}\n`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20)
}
