import type { ConnectionFailure, GuestConnection } from '../../src/network/index.ts'

/** The window of one stream of the channel: what a side may send before the other has taken any of it. */
const WINDOW_BYTES = 262_144

/** How a connection ended for the program: in order, or with what it was told. */
export type ProgramEnd =
  | { readonly kind: 'finished' }
  | { readonly kind: 'failed'; readonly failure: ConnectionFailure }

/**
 * A program in the guest with one connection, in memory: both directions have the window that the channel gives a stream,
 * so whoever does not read makes the other wait.
 */
export class GuestProgram {
  readonly connection: GuestConnection
  /** Resolves when the connection stands; rejects with what it failed with before that. */
  readonly connected: Promise<void>
  /** Resolves when the exchange has ended. */
  readonly ended: Promise<ProgramEnd>
  /** Whether the host has ended its side. */
  hostHasEnded = false
  /** Bytes that the host has written in all, whether read here or not. */
  written = 0
  /** The most bytes that were ever written and not yet read. */
  mostHeld = 0
  readonly #abort = new AbortController()
  readonly #outgoing: Uint8Array[] = []
  readonly #incoming: Uint8Array[] = []
  #outgoingBytes = 0
  #incomingBytes = 0
  #hasEnded = false
  #isConnected = false
  #end: ProgramEnd | undefined
  #changed = deferred<void>()

  constructor(address: string, port: number) {
    const connected = deferred<void>()
    const ended = deferred<ProgramEnd>()
    connected.promise.catch(() => undefined)
    this.connected = connected.promise
    this.ended = ended.promise
    this.connection = {
      address,
      port,
      signal: this.#abort.signal,
      connected: () => {
        if (this.#isConnected || this.#end !== undefined) throw new Error('connected() once, and before the end')
        this.#isConnected = true
        connected.resolve()
      },
      readable: () => this.#readable(),
      write: async (chunk) => await this.#take(chunk),
      end: () => {
        this.hostHasEnded = true
        this.#change()
      },
      finish: (failure) => {
        if (this.#end !== undefined) return
        if (failure === undefined && !(this.hostHasEnded && this.#hasEnded))
          throw new Error('finish() before both ends')
        this.#end = failure === undefined ? { kind: 'finished' } : { kind: 'failed', failure }
        connected.reject(new Error(failure === undefined ? 'finished' : `${failure.code}: ${failure.message}`))
        ended.resolve(this.#end)
        this.#change()
      },
    }
  }

  /** Sends as the host reads; false when the connection ended first. */
  async send(data: Uint8Array | string): Promise<boolean> {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data
    while (this.#outgoingBytes + bytes.byteLength > WINDOW_BYTES && this.#end === undefined) await this.#changed.promise
    if (this.#end !== undefined) return false
    this.#outgoing.push(bytes)
    this.#outgoingBytes += bytes.byteLength
    this.#change()
    return true
  }

  /** Half-close. */
  end(): void {
    this.#hasEnded = true
    this.#change()
  }

  /** The program dies or resets its connection. */
  reset(): void {
    this.#abort.abort()
  }

  /** The next bytes that arrived; undefined when the host has ended its side. Throws when the connection failed. */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#incoming.shift()
      if (chunk !== undefined) {
        this.#incomingBytes -= chunk.byteLength
        this.#change()
        return chunk
      }
      if (this.#end?.kind === 'failed') throw new Error(`${this.#end.failure.code}: ${this.#end.failure.message}`)
      if (this.hostHasEnded) return undefined
      await this.#changed.promise
    }
  }

  /** Everything until the host ends its side, as text. */
  async readAll(): Promise<string> {
    const chunks: Uint8Array[] = []
    for (let chunk = await this.read(); chunk !== undefined; chunk = await this.read()) chunks.push(chunk)
    return Buffer.concat(chunks).toString('latin1')
  }

  /** Reads until the text contains `needle`. */
  async readUntil(needle: string): Promise<string> {
    let text = ''
    while (!text.includes(needle)) {
      const chunk = await this.read()
      if (chunk === undefined) throw new Error(`ended before ${JSON.stringify(needle)}: ${JSON.stringify(text)}`)
      text += Buffer.from(chunk).toString('latin1')
    }
    return text
  }

  async *#readable(): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      const chunk = this.#outgoing.shift()
      if (chunk !== undefined) {
        this.#outgoingBytes -= chunk.byteLength
        this.#change()
        yield chunk
      } else if (this.#hasEnded || this.#end !== undefined) return
      else await this.#changed.promise
    }
  }

  async #take(chunk: Uint8Array): Promise<boolean> {
    if (!this.#isConnected) throw new Error('write() before connected()')
    while (this.#incomingBytes >= WINDOW_BYTES && this.#end === undefined) await this.#changed.promise
    if (this.#end !== undefined) return false
    this.#incoming.push(Buffer.from(chunk))
    this.#incomingBytes += chunk.byteLength
    this.written += chunk.byteLength
    this.mostHeld = Math.max(this.mostHeld, this.#incomingBytes)
    this.#change()
    return true
  }

  #change(): void {
    const changed = this.#changed
    this.#changed = deferred()
    changed.resolve()
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined
  let reject: (error: Error) => void = () => undefined
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue
    reject = onError
  })
  return { promise, resolve, reject }
}
