import { ProtocolError } from '../base/index.ts'
import type { OutputCallback } from './options.ts'

export interface CollectedOutput {
  readonly text: string
  /** There was more than was to be kept. */
  readonly cut: boolean
}

export interface CollectOptions {
  /** Bytes the agent may pass on; it was told the same number. */
  readonly limit: number
  /** Bytes that become part of the text; the callback gets all. */
  readonly kept: number
  /** Name of the stream in errors. */
  readonly name: string
  readonly callback: OutputCallback | undefined
  /** Called when a callback begins (+1) and ends (−1): its time is not the guest's. */
  readonly onCallback: (change: 1 | -1) => void
  /** Called once with what the callback threw; its stream is then read on and dropped. */
  readonly onCallbackError: (error: unknown) => void
}

/**
 * Reads one output stream to its end. Bytes become text through one decoder, so a character is never torn; text and
 * bytes handed to the callback always belong together. Taking a chunk only after the callback is done is what slows the
 * guest down when the callback is slow.
 */
export async function collectOutput(
  stream: AsyncIterable<Uint8Array>,
  options: CollectOptions,
): Promise<CollectedOutput> {
  const { limit, name } = options
  const splitter = new CharacterSplitter()
  const parts: string[] = []
  let received = 0
  let room = options.kept
  let cut = false
  let callback = options.callback
  const keep = (text: string, bytes: Uint8Array): void => {
    if (bytes.byteLength <= room) parts.push(text)
    else if (!cut) {
      cut = true
      const fits = bytes.subarray(0, room)
      parts.push(decoder.decode(fits.subarray(0, room - incompleteTail(fits))))
    }
    room = cut ? 0 : room - bytes.byteLength
  }
  const pass = async (bytes: Uint8Array): Promise<void> => {
    if (bytes.byteLength === 0) return
    const text = decoder.decode(bytes)
    keep(text, bytes)
    if (callback === undefined) return
    options.onCallback(1)
    try {
      await callback(text, bytes)
    } catch (error) {
      callback = undefined
      options.onCallbackError(error)
    } finally {
      options.onCallback(-1)
    }
  }
  for await (const chunk of stream) {
    received += chunk.byteLength
    if (received > limit) {
      throw new ProtocolError(`The guest sent more than the ${limit} bytes of ${name} it was told to pass on`, {
        rule: 'output-limit',
      })
    }
    await pass(splitter.push(chunk))
  }
  // A sequence cut off by the limit is the limit's doing, not the program's: it is dropped. One that the program itself
  // left unfinished is shown as U+FFFD.
  if (received < limit) await pass(splitter.rest())
  return { text: parts.join(''), cut }
}

// ignoreBOM: a byte order mark that a program prints is output like any other.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Cuts a byte stream so that every piece ends at the end of a UTF-8 character, holding back at most 3 bytes. */
export class CharacterSplitter {
  #held: Uint8Array = new Uint8Array(0)

  /** Everything up to the last complete character. */
  push(chunk: Uint8Array): Uint8Array {
    const bytes = this.#held.byteLength === 0 ? chunk : Buffer.concat([this.#held, chunk])
    const keep = incompleteTail(bytes)
    this.#held = bytes.slice(bytes.byteLength - keep)
    return bytes.subarray(0, bytes.byteLength - keep)
  }

  /** The bytes of a character that never became complete. */
  rest(): Uint8Array {
    const held = this.#held
    this.#held = new Uint8Array(0)
    return held
  }
}

/** How many bytes at the end begin a UTF-8 character without completing it: 0–3 (RFC 3629 §3). */
function incompleteTail(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.byteLength); back += 1) {
    const byte = bytes[bytes.byteLength - back] ?? 0
    if ((byte & 0b1100_0000) === 0b1000_0000) continue
    if (byte >= 0b1111_0000 && byte <= 0b1111_0100) return back < 4 ? back : 0
    if (byte >= 0b1110_0000 && byte < 0b1111_0000) return back < 3 ? back : 0
    if (byte >= 0b1100_0010 && byte < 0b1110_0000) return back < 2 ? back : 0
    return 0
  }
  return 0
}
