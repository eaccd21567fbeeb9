/**
 * Requests of one guest that are begun in one turn of the event loop. Each costs some tens of microseconds, and a guest can
 * send a thousand in one piece: begun together they would keep every other VM of this process waiting.
 */
const PER_TURN = 32

/** Begins what a guest asks for in the order it came, at once unless it asks for much at a time. */
export class ServingTurns {
  #waiting: (() => void)[] = []
  #begun = 0
  #isScheduled = false

  /** Runs `begin`, perhaps before this returns. Who calls bounds how many may wait. */
  run(begin: () => void): void {
    if (this.#begun < PER_TURN && this.#waiting.length === 0) this.#begin(begin)
    else this.#waiting.push(begin)
  }

  /** What waits is never begun. */
  stop(): void {
    this.#waiting = []
  }

  #begin(begin: () => void): void {
    this.#begun += 1
    if (!this.#isScheduled) {
      this.#isScheduled = true
      // A guest holds no process open.
      setImmediate(() => this.#nextTurn()).unref()
    }
    begin()
  }

  #nextTurn(): void {
    this.#isScheduled = false
    this.#begun = 0
    for (const begin of this.#waiting.splice(0, PER_TURN)) this.#begin(begin)
  }
}
