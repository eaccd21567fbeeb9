import type { Admission, Reservation } from '../admission/index.ts'
import type { Logger } from '../base/index.ts'
import { loadState, QemuProcess, type VmPlan } from '../qemu/index.ts'

/** A QEMU that has loaded a template and waits to go on, with the room it holds. Whoever takes it owns both. */
export interface Spare {
  readonly qemu: QemuProcess
  readonly reservation: Reservation
}

interface Held extends Spare {
  readonly expiry: NodeJS.Timeout
}

/** Milliseconds a spare waits for use: it holds 15 MB. Programs that run code in a loop come again within a second. */
const EXPIRY_MS = 10_000

/** Templates that have a spare at a time: one for each language of a program that uses all of them. */
const MOST_SPARES = 3

/**
 * QEMU processes started ahead of demand, at most one per template: a restore that finds one begins with the guest's first
 * instruction (docs/decisions/0012-qemu-start.md). Unlike a VM of a pool a spare has run nothing, so it costs nothing but the
 * process; and none is started before a template has been used twice.
 */
export class Spares {
  readonly #admission: Admission
  readonly #logger: Logger
  readonly #held = new Map<string, Held>()
  readonly #starting = new Map<string, Promise<void>>()
  readonly #closing = new AbortController()
  readonly #ending = new Set<Promise<unknown>>()

  constructor(options: { readonly admission: Admission; readonly logger: Logger }) {
    this.#admission = options.admission
    this.#logger = options.logger
  }

  get size(): number {
    return this.#held.size
  }

  /** The template's spare, if it has one that lives. */
  take(key: string): Spare | undefined {
    const held = this.#held.get(key)
    if (held === undefined) return undefined
    this.#forget(key, held)
    // Its new owner waits for it, if only for its end.
    held.qemu.ref()
    return held
  }

  /** Starts a spare in the background, if the host has room that nobody waits for. Never throws. */
  start(key: string, plan: VmPlan): void {
    if (this.#closing.signal.aborted || this.#held.has(key) || this.#starting.has(key)) return
    if (this.#held.size + this.#starting.size >= MOST_SPARES) return
    const reservation = this.#admission.tryAdmit(plan)
    if (reservation === undefined) return
    const work = this.#begin(key, plan, reservation).finally(() => this.#starting.delete(key))
    this.#starting.set(key, work)
  }

  /** Ends a template's spare. */
  drop(key: string, reason: string): void {
    const held = this.take(key)
    if (held !== undefined) this.#end(held, reason)
  }

  /** Ends all spares. */
  dropAll(reason: string): void {
    for (const key of [...this.#held.keys()]) this.drop(key, reason)
  }

  /** Ends all of them and waits until they are dead. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the scheduler was closed'))
    await Promise.all(this.#starting.values())
    this.dropAll('the scheduler was closed')
    await Promise.all(this.#ending)
  }

  async #begin(key: string, plan: VmPlan, reservation: Reservation): Promise<void> {
    const { signal } = this.#closing
    let qemu: QemuProcess | undefined
    try {
      qemu = await QemuProcess.start(plan, { signal, logger: this.#logger })
      qemu.unref()
      await Promise.race([loadState(qemu, plan, signal), died(qemu)])
    } catch (error) {
      // Whoever needs the template next finds out why, and says so.
      this.#logger.debug('no spare', { template: key, cause: error instanceof Error ? error.message : String(error) })
      qemu?.ref()
      await qemu?.stop('forced', 'it did not become a spare')
      reservation.release()
      return
    }
    reservation.idle()
    this.#hold(key, qemu, reservation)
    // Whoever came while it was starting found nothing to end.
    if (this.#admission.stats().waiting > 0) this.drop(key, 'its room was needed')
  }

  #hold(key: string, qemu: QemuProcess, reservation: Reservation): void {
    const expiry = setTimeout(() => {
      this.#forget(key, held)
      this.#end(held, 'nobody needed it')
    }, EXPIRY_MS)
    expiry.unref()
    const held: Held = { qemu, reservation, expiry }
    this.#held.set(key, held)
    void qemu.exited.then(() => {
      if (this.#held.get(key) !== held) return
      this.#forget(key, held)
      reservation.release()
    })
  }

  #forget(key: string, held: Held): void {
    clearTimeout(held.expiry)
    if (this.#held.get(key) === held) this.#held.delete(key)
  }

  #end({ qemu, reservation }: Spare, reason: string): void {
    qemu.ref()
    const ending = qemu.stop('forced', reason).then(() => reservation.release())
    this.#ending.add(ending)
    void ending.finally(() => this.#ending.delete(ending))
  }
}

async function died(qemu: QemuProcess): Promise<never> {
  await qemu.exited
  throw new Error('QEMU ended')
}
