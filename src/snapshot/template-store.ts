import { readFile, utimes } from 'node:fs/promises'
import { AbortedError, errnoOf, type Logger, SharedWork, throwIfAborted, untilAborted } from '../base/index.ts'
import {
  directoryInode,
  type EntryDirectory,
  fileIdentity,
  FileLock,
  type HostPaths,
  templateLockFile,
  type TemplatePaths,
  templatePaths,
} from '../host/index.ts'
import { expectedBytes } from './expected-bytes.ts'
import { MakeError, makeTemplate } from './make-template.ts'
import { readAhead } from './memory-digest.ts'
import { checkTemplate } from './template-check.ts'
import { templateEntries, type TemplateFacts, type TemplateFiles } from './template-files.ts'
import { templateKey, type TemplateSpec } from './template-key.ts'
import { listTemplates, type TemplateSummary } from './template-list.ts'
import { renderTemplateManifest, type TemplateManifest } from './template-manifest.ts'
import { NoRoomError, TemplateSpace } from './template-space.ts'

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

const READ_ONLY_ERRORS: readonly string[] = ['EROFS', 'EACCES', 'EPERM']

/** Attempts at a build that runs out of space: the second one after making room. */
const SPACE_TRIES = 2

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
  /** Whether any are built at all. */
  readonly keepsTemplates: boolean
  readonly #paths: HostPaths
  readonly #logger: Logger
  readonly #entries: EntryDirectory
  readonly #space: TemplateSpace
  readonly #known = new Map<string, Known>()
  readonly #looks = new Map<string, SharedWork<Template | undefined>>()
  readonly #builds = new Map<string, Promise<Template | undefined>>()
  readonly #told = new Set<string>()
  readonly #readAhead = new Set<string>()
  /** Templates that were discarded: where they cannot be removed they are not used again all the same. */
  readonly #discarded = new Set<string>()

  constructor(options: TemplateStoreOptions) {
    this.#paths = options.paths
    this.#entries = templateEntries(options.paths)
    this.#logger = options.logger
    this.keepsTemplates = options.limitBytes > 0
    this.#space = new TemplateSpace(options)
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
   * for longest, a cache that cannot be written, a builder that does not end. Nothing half made stays. Where the limit is 0
   * none is built, and those that others have built stay.
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
    if (!this.keepsTemplates) return await this.open(key, { signal })
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
    // Those who were resumed side by side find the same out side by side.
    if (this.#discarded.has(markOf(template))) return
    this.#discarded.add(markOf(template))
    this.#logger.warn('a template is of no use and is removed', { template: key, reason: why })
    try {
      const inode = await directoryInode(template.directory)
      if (inode === undefined) return
      const now = await readFile(templatePaths(this.#paths, key).manifest, 'utf8').catch(() => undefined)
      if (now !== undefined && now !== renderTemplateManifest(template.manifest)) return
      await this.#entries.remove(key, inode)
    } catch (error) {
      this.#tellOnce('remove', 'a template cannot be removed', error, key)
    }
  }

  /**
   * Reads a template's memory into the page cache, where VMs that are resumed side by side would otherwise wait for the disk
   * page by page. Once per process and template; not for a single restore, which reads less than half of it. Never throws.
   */
  async readAhead(template: Template, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    const mark = markOf(template)
    if (this.#readAhead.has(mark)) return
    this.#readAhead.add(mark)
    // Without it, restores are as they were: an error here will be met there, or was of no account.
    await readAhead(template.ram, { signal: options.signal, chunks: template.manifest.ram.chunks }).catch(() => {
      this.#readAhead.delete(mark)
    })
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
    let { bytes: freedBytes } = await this.#entries.sweep()
    const removed: TemplateSummary[] = []
    for (const template of choose(await this.list())) {
      const bytes = await this.#entries.remove(template.key)
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
      if (this.#discarded.has(markOf(known.template))) return undefined
      await this.#noteUse(paths)
      return known.template
    }
    const verdict = await checkTemplate(paths, key, signal)
    if (verdict.kind === 'good') {
      const { directory, ram, state } = paths
      const template = Object.freeze({ key, directory, ram, state, manifest: verdict.manifest })
      if (verdict.digested) this.#logger.debug('a template was digested in full', { template: key })
      if (identity !== undefined) this.#known.set(key, { template, identity })
      if (this.#discarded.has(markOf(template))) return undefined
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
      await this.#entries.remove(key, damage.inode)
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
      await this.#entries.make()
      await using _lock = await FileLock.acquire(templateLockFile(this.#paths, key), {
        timeoutMs: LOCK_TIMEOUT_MS,
        onTimeout: () => new Error(`another process has been building for ${LOCK_TIMEOUT_MS / 1000} s`),
        signal,
      })
      const published = await this.open(key, { signal })
      if (published !== undefined) return published
      await this.#sweep(key)
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
        await this.#space.keepLimit({ room: expected })
        using _room = await this.#space.makeRoom(expected)
        const startedAt = performance.now()
        const manifest = await makeTemplate(this.#paths, { spec, key, make, signal })
        const ms = Math.round(performance.now() - startedAt)
        this.#logger.info('a template was saved', { template: key, language: spec.language, ms })
        this.#logger.debug('the template takes', { template: key, mb: Math.round(manifest.ram.allocated / 2 ** 20) })
        await this.#space.keepLimit({ keep: key })
        return await this.open(key, { signal })
      } catch (error) {
        throwIfAborted(signal)
        const cause = error instanceof MakeError ? error.cause : error
        if (cause instanceof NoRoomError || !(await this.#space.isFull(cause))) throw error
        // What is told is that there is no space, whatever QEMU said when it ran out of it.
        const full = new NoRoomError(messageOf(cause), { cause })
        if (attempt === SPACE_TRIES || (await this.#space.evict(expected)) === 0) throw full
      }
    }
  }

  // What cannot be swept is in nobody's way.
  async #sweep(ownKey: string): Promise<void> {
    const swept = await this.#entries.sweep(ownKey).catch(() => undefined)
    if (swept === undefined || swept.directories === 0) return
    this.#logger.info('what dead builders of templates had left was removed', swept)
  }

  #notKept(key: string, error: unknown): void {
    const code = errnoOf(error) ?? ''
    if (error instanceof NoRoomError) {
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

/** What must be unchanged for a template to be the one that was checked. Undefined when it is not there. */
async function identityOf(paths: TemplatePaths): Promise<string | undefined> {
  try {
    const parts = [directoryInode(paths.directory), fileIdentity(paths.ram), fileIdentity(paths.state)]
    return (await Promise.all(parts)).join('|')
  } catch {
    return undefined
  }
}

/** Tells a template from one of the same key that was built before or after it. */
function markOf({ key, manifest }: Template): string {
  return `${key} ${manifest.createdAt} ${manifest.ram.sha256}`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
