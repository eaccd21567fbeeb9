import { errnoOf, type Logger } from '../base/index.ts'
import { chooseEvictions, freeDiskBytes, type HostPaths, inOrderOfEviction } from '../host/index.ts'
import { templateEntries } from './template-files.ts'
import { listTemplates, type TemplateSummary } from './template-list.ts'

export interface TemplateSpaceOptions {
  readonly paths: HostPaths
  readonly limitBytes: number
  readonly logger: Logger
}

/** Bytes left free on the file system besides what a template will take: it is not ours to fill. */
const RESERVE_BYTES = 64 * 2 ** 20

/**
 * A file system with less than this free counts as full when a builder failed on it: QEMU then ends in ways that do not say so
 * (SIGBUS at a page of the RAM file, a failed migration).
 */
const FULL_BELOW_BYTES = 32 * 2 ** 20

const FULL_ERRORS: readonly string[] = ['ENOSPC', 'EDQUOT', 'EFBIG']

/** The file system has no room for a template, even without the others. */
export class NoRoomError extends Error {}

/** What templates may take of the disk: evicts those that were not used for longest. */
export class TemplateSpace {
  readonly #paths: HostPaths
  readonly #limitBytes: number
  readonly #logger: Logger
  /** Bytes that builds under way may still write: what is free counts once, not once for each of them. */
  #promised = 0

  constructor(options: TemplateSpaceOptions) {
    this.#paths = options.paths
    this.#limitBytes = options.limitBytes
    this.#logger = options.logger
  }

  /**
   * Evicts until the templates fit the limit.
   * @param options `room`: bytes of the limit to leave free; `keep`: key of a template that stays in any case
   */
  async keepLimit(options: { readonly room?: number; readonly keep?: string }): Promise<void> {
    const limitBytes = Math.max(0, this.#limitBytes - (options.room ?? 0))
    for (const template of chooseEvictions(await listTemplates(this.#paths), { limitBytes, keep: options.keep })) {
      await this.#evict(template, 'the templates have reached their limit')
    }
  }

  /**
   * Evicts until the file system has so many bytes free besides those of builds under way, and some more.
   * @returns the room, to be given back when they are written or not needed
   * @throws NoRoomError when that is not to be had
   */
  async makeRoom(bytes: number): Promise<Disposable> {
    this.#promised += bytes
    const room = {
      [Symbol.dispose]: () => {
        this.#promised -= bytes
      },
    }
    try {
      await this.#freeUp(this.#promised + RESERVE_BYTES)
      return room
    } catch (error) {
      room[Symbol.dispose]()
      throw error
    }
  }

  async #freeUp(needed: number): Promise<void> {
    const candidates = [...inOrderOfEviction(await listTemplates(this.#paths))]
    for (;;) {
      const free = await freeDiskBytes(this.#paths.templates)
      if (free >= needed) return
      const evictable = candidates.reduce((sum, candidate) => sum + candidate.bytes, 0)
      const [next] = candidates.splice(0, 1)
      // None is evicted for nothing.
      if (next === undefined || free + evictable < needed) {
        throw new NoRoomError(`${megabytes(free)} MB are free where ${megabytes(needed)} MB are needed`)
      }
      await this.#evict(next, 'the file system is full')
    }
  }

  /** Evicts about so many bytes, though the file system does not tell that it is full (a quota). @returns bytes freed */
  async evict(bytes: number): Promise<number> {
    let freed = 0
    for (const template of inOrderOfEviction(await listTemplates(this.#paths))) {
      if (freed >= bytes) break
      freed += await this.#evict(template, 'the file system is full')
    }
    return freed
  }

  /** Whether an error comes from a file system that has no space left. */
  async isFull(error: unknown): Promise<boolean> {
    if (FULL_ERRORS.includes(errnoOf(error) ?? '')) return true
    return (await freeDiskBytes(this.#paths.templates)) < FULL_BELOW_BYTES
  }

  async #evict(template: TemplateSummary, reason: string): Promise<number> {
    try {
      const bytes = (await templateEntries(this.#paths).remove(template.key)) ?? 0
      this.#logger.info('a template was evicted', { template: template.key, reason, mb: megabytes(bytes) })
      return bytes
    } catch (error) {
      // One that cannot be removed is no reason to lose the template that was or is going to be built.
      const cause = error instanceof Error ? error.message : String(error)
      this.#logger.warn('a template cannot be evicted', { template: template.key, cause })
      return 0
    }
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20)
}
