import { BootError, CapacityError, ProtocolError } from '../base/index.ts'

/** Failures in a row after which templates of a key are given a rest. */
const FAILURES = 2

/** Milliseconds of that rest. A build costs two boots' worth of the host; whatever made it fail may pass in a server's life. */
const REST_MS = 600_000

/** Milliseconds after a build that found no room: the host may be full for long, and launches wait for a build. */
const FULL_HOST_REST_MS = 30_000

/**
 * Restores in a row that may fail for a cause that can pass (a host that is out of processes, a guest that was starved). A
 * host in trouble fails all that are under way at once, and to build the template anew would make it worse.
 */
const PASSING_FAILURES = 3

/** What is known of one key's templates: failures in a row, and until when none is built. */
interface Record {
  readonly builds: number
  readonly restores: number
  readonly restUntil: number
}

const GOOD: Record = { builds: 0, restores: 0, restUntil: 0 }

/** Remembers how templates and their builds fared in this process: when one is suspected, and when none is built. */
export class TemplateTrust {
  readonly #records = new Map<string, Record>()

  /** Whether a template of this key may be built now. `now` in milliseconds, of any clock that does not go back. */
  mayBuild(key: string, now: number): boolean {
    return now >= this.#of(key).restUntil
  }

  /** A template of this key was not saved. */
  buildFailed(key: string, error: unknown, now: number): void {
    const record = this.#of(key)
    if (error instanceof CapacityError) {
      this.#records.set(key, { ...record, restUntil: now + FULL_HOST_REST_MS })
      return
    }
    const builds = record.builds + 1
    this.#records.set(key, { builds, restores: 0, restUntil: builds >= FAILURES ? now + REST_MS : 0 })
  }

  /** A VM was resumed from it: it is good. */
  restored(key: string): void {
    this.#records.delete(key)
  }

  /**
   * A restore failed. True when the template is to be discarded; that counts as a build that failed, so that templates
   * which can be saved but not resumed are not built for ever.
   */
  restoreFailed(key: string, error: unknown, now: number): boolean {
    const blame = blameOf(error)
    if (blame === 'host') return false
    const record = this.#of(key)
    const restores = record.restores + 1
    if (blame === 'unknown' && restores < PASSING_FAILURES) {
      this.#records.set(key, { ...record, restores })
      return false
    }
    this.buildFailed(key, error, now)
    return true
  }

  #of(key: string): Record {
    return this.#records.get(key) ?? GOOD
  }
}

/** What a failed restore says about its template. */
function blameOf(error: unknown): 'template' | 'host' | 'unknown' {
  if (error instanceof ProtocolError) return 'template'
  if (!(error instanceof BootError)) return 'host'
  // Before QEMU answers it has not looked at the state: what ends it then is most often the jail, or the host's limits.
  return error.retryable || error.details.phase === 'qemu' ? 'unknown' : 'template'
}
