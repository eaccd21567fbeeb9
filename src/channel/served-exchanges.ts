import { parseRequest } from './guest-json.ts'
import type { GuestMethods } from './guest-methods.ts'
import { ServedExchange, type ServedLink } from './served-exchange.ts'
import { ServingTurns } from './serving-turns.ts'
import { violation } from './violation.ts'
import { MOST_EVEN_EXCHANGES } from './wire.ts'

/** The exchanges that the guest of one channel has begun, and the rules for their ids. */
export class ServedExchanges {
  readonly #link: ServedLink
  readonly #open = new Map<number, ServedExchange>()
  readonly #turns = new ServingTurns()
  #methods: GuestMethods | undefined
  #highestId = 0

  constructor(link: Omit<ServedLink, 'ended'>) {
    this.#link = { ...link, ended: (id) => this.#open.delete(id) }
  }

  /** From now on the guest may call these. */
  serve(methods: GuestMethods): void {
    if (this.#methods !== undefined) throw new Error('the requests of this guest are served already')
    this.#methods = methods
  }

  get size(): number {
    return this.#open.size
  }

  /** A REQUEST of the guest. */
  begin(id: number, payload: Uint8Array): void {
    if (this.#methods === undefined) throw violation('not-served', 'REQUEST from a guest without network')
    if (id <= this.#highestId) throw violation('id', `REQUEST with id ${id} after ${this.#highestId}`)
    this.#highestId = id
    if (this.#open.size >= MOST_EVEN_EXCHANGES) {
      throw violation('too-many-exchanges', `more than ${MOST_EVEN_EXCHANGES} are open`)
    }
    const request = parseRequest(payload)
    const method = this.#methods.get(request.method)
    if (method === undefined) throw violation('no-method', 'REQUEST for a method that the host does not have')
    const work = method.prepare(request.params)
    const exchange = new ServedExchange(id, request.method, method, this.#link)
    this.#open.set(id, exchange)
    this.#turns.run(() => void exchange.serve(work))
  }

  /** The exchange that a frame of the guest belongs to; undefined if it crossed the RESPONSE. */
  find(id: number, type: string): ServedExchange | undefined {
    if (id > this.#highestId) throw violation('not-open', `${type} of exchange ${id}, which is not open`)
    const exchange = this.#open.get(id)
    return exchange?.isOver === true ? undefined : exchange
  }

  onLost(makeError: (label: string) => Error): void {
    this.#turns.stop()
    for (const exchange of this.#open.values()) exchange.onLost(makeError)
  }
}
