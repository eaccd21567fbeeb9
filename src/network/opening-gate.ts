import { untilAborted } from '../base/index.ts'
import { HeldBytes } from './held-bytes.ts'
import { ClientHelloReader, type ClientOpening, mayBeOtherProtocol } from './tls/client-hello.ts'

/** The first bytes of a connection: what they are, and themselves, which have not gone out yet. */
export interface HeldOpening {
  readonly opening: ClientOpening
  readonly bytes: Uint8Array
}

export interface OpeningGateOptions {
  /**
   * Whether the client must speak first, in time. Without it a connection may stay silent for ever: only what begins like
   * TLS must then come to its end in time.
   */
  readonly mustSpeak: boolean
  /** Milliseconds for the opening to be complete. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/**
 * Reads what a program sends until it is known whether that is TLS and for which name.
 * @returns `silent`: the program ended its side without a byte. An opening that is late or cut short is `malformed`.
 * @throws AbortedError on the signal, and what the source throws
 */
export async function readOpening(
  source: AsyncIterator<Uint8Array>,
  { mustSpeak, timeoutMs, signal }: OpeningGateOptions,
): Promise<HeldOpening | 'silent'> {
  const reader = new ClientHelloReader()
  const held = new HeldBytes()
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const startClock = (): void => {
    timer ??= setTimeout(() => late.abort(), timeoutMs).unref()
  }
  const onAbort = (): void => late.abort()
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) late.abort()
  if (mustSpeak) startClock()
  const cutShort = (why: string): HeldOpening => {
    const bytes = held.take()
    // A few bytes of another protocol, which waits for an answer to them: they were held because a hello of SSL 2 may begin like that.
    return { bytes, opening: mayBeOtherProtocol(bytes) ? { kind: 'not-tls' } : { kind: 'malformed', why } }
  }
  try {
    for (;;) {
      const next = await untilAborted(source.next(), late.signal)
      if (next.done === true) {
        if (held.length === 0) return 'silent'
        return cutShort('it ends within its ClientHello')
      }
      if (next.value.byteLength === 0) continue
      held.push(next.value)
      const opening = reader.feed(next.value)
      if (opening !== 'more') return { opening, bytes: held.take() }
      startClock()
    }
  } catch (error) {
    if (signal.aborted || !late.signal.aborted) throw error
    return cutShort(`no complete ClientHello within ${timeoutMs} ms`)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}
