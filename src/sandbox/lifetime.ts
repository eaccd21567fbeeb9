import { SandboxClosedError, VmLostError } from '../base/index.ts'
import type { Vm, VmEnd } from '../vm/index.ts'

/** Why a sandbox ended. */
export interface SandboxEnd {
  readonly reason: 'closed' | 'idle' | 'vm-lost' | 'protocol'
  /** A sentence for people. */
  readonly message: string
}

/**
 * How long a sandbox lives: until it is closed, its VM is lost, or nobody has used it for the idle time-out. A call in
 * progress is use, and keeps the caller's process from exiting, which the VM does not; what calls left running in the
 * background is neither.
 */
export class Lifetime {
  /** Resolves once, with why the sandbox ended, when its VM is known to be dead. */
  readonly closed: Promise<SandboxEnd>
  readonly #vm: Vm
  #end: SandboxEnd | undefined
  #calls = 0
  #idleTimeoutMs: number
  #idleTimer: NodeJS.Timeout | undefined
  #hold: NodeJS.Timeout | undefined
  #isDead = false
  /** Calls under way, each as what rejects it. */
  readonly #underWay = new Set<(error: Error) => void>()
  readonly #endings: (() => Promise<void>)[] = []
  #givenBack: Promise<unknown> | undefined

  constructor(vm: Vm, idleTimeoutMs: number) {
    this.#vm = vm
    this.#idleTimeoutMs = idleTimeoutMs
    this.closed = vm.ended.then(async (end) => {
      clearTimeout(this.#idleTimer)
      this.#end ??= endOf(end)
      // What never ends its use of a sandbox that is gone is no reason to stay.
      this.#isDead = true
      this.#release()
      // A caller's own callback that never returns must not keep a call open after the close; a VM that was lost leaves
      // complete calls the time to hand over what they have.
      if (this.#end.reason === 'closed') for (const reject of this.#underWay) reject(closedError(this.#end))
      await this.#giveBack()
      return this.#end
    })
    this.#armIdleTimer()
  }

  /** @throws SandboxClosedError when the sandbox has ended */
  throwIfEnded(): void {
    if (this.#end !== undefined) throw closedError(this.#end)
  }

  /** Counts as use while `work` goes on, and tells its failure as the sandbox's end where that is the cause. */
  async busy<T>(work: () => Promise<T>): Promise<T> {
    this.throwIfEnded()
    const leave = this.enter()
    let reject: (error: Error) => void = () => undefined
    const closed = new Promise<never>((_, fail) => {
      reject = fail
    })
    this.#underWay.add(reject)
    try {
      return await Promise.race([work(), closed])
    } catch (error) {
      throw this.explain(error)
    } finally {
      this.#underWay.delete(reject)
      leave()
    }
  }

  /** Use that has no single promise; the returned function ends it, and may be called again. */
  enter(): () => void {
    this.#calls += 1
    if (!this.#isDead) this.#hold ??= setInterval(() => undefined, 2 ** 31 - 1)
    clearTimeout(this.#idleTimer)
    let left = false
    return () => {
      if (left) return
      left = true
      this.#calls -= 1
      if (this.#calls > 0) return
      this.#release()
      if (this.#end === undefined) this.#armIdleTimer()
    }
  }

  /** Something was of use without being a call: the idle time-out begins anew. */
  touch(): void {
    if (this.#calls === 0 && this.#end === undefined) this.#idleTimer?.refresh()
  }

  /** What else belongs to the sandbox is given back by `give`, which begins with its end and is waited for by `closed`. */
  atEnd(give: () => Promise<void>): void {
    this.#endings.push(give)
  }

  /** A call that fails because its sandbox is being closed tells that, not that a machine was lost. */
  explain(error: unknown): unknown {
    const isOwn = error instanceof VmLostError && (this.#end?.reason === 'closed' || this.#end?.reason === 'idle')
    return isOwn && this.#end !== undefined ? closedError(this.#end) : error
  }

  setIdleTimeout(ms: number): void {
    this.#idleTimeoutMs = ms
    if (this.#calls === 0 && this.#end === undefined) this.#armIdleTimer()
  }

  /** Ends the sandbox and waits until its VM is dead. Safe at any time, any number of times; the first reason stays. */
  async close(end: SandboxEnd): Promise<void> {
    this.#end ??= end
    clearTimeout(this.#idleTimer)
    void this.#giveBack()
    await this.#vm.close(this.#end.message)
    await this.closed
  }

  async #giveBack(): Promise<void> {
    this.#givenBack ??= Promise.allSettled(this.#endings.map(async (give) => await give()))
    await this.#givenBack
  }

  #release(): void {
    clearInterval(this.#hold)
    this.#hold = undefined
  }

  #armIdleTimer(): void {
    clearTimeout(this.#idleTimer)
    if (this.#idleTimeoutMs === 0) return
    this.#idleTimer = setTimeout(() => {
      void this.close({ reason: 'idle', message: `it was idle for ${this.#idleTimeoutMs} ms` })
    }, this.#idleTimeoutMs)
    this.#idleTimer.unref()
  }
}

function closedError(end: SandboxEnd): SandboxClosedError {
  return new SandboxClosedError(`The sandbox has ended: ${end.message}. Create a new one.`, { reason: end.reason })
}

function endOf(end: VmEnd): SandboxEnd {
  return { reason: end.error === undefined ? 'vm-lost' : 'protocol', message: end.reason }
}
