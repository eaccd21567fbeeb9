import { StringDecoder } from 'node:string_decoder'
import { TextRing } from '../base/index.ts'

/** Bytes of boot log kept per VM: several hundred lines, whatever the guest writes. */
const KEPT_BYTES = 65_536

/** Characters after which a line without an end is passed on as it is. */
const LONGEST_LINE = 4_096

/**
 * What the guest writes to its console: the last of it kept, and each line passed on as it comes. A guest may write
 * anything at any speed; nothing here grows, and a listener that throws harms nobody.
 */
export class BootLog {
  readonly ring = new TextRing(KEPT_BYTES)
  readonly #onLine: ((line: string) => void) | undefined
  readonly #decoder = new StringDecoder('utf8')
  #rest = ''

  /** @param onLine gets each line without its end */
  constructor(onLine: ((line: string) => void) | undefined) {
    this.#onLine = onLine
  }

  push(chunk: Buffer): void {
    this.ring.push(chunk)
    if (this.#onLine === undefined) return
    const lines = (this.#rest + this.#decoder.write(chunk)).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#pass(line)
    if (this.#rest.length > LONGEST_LINE) this.finish()
  }

  /** Passes on a last line that has no end. */
  finish(): void {
    if (this.#rest !== '') this.#pass(this.#rest)
    this.#rest = ''
  }

  #pass(line: string): void {
    try {
      this.#onLine?.(line.replaceAll('\r', ''))
    } catch {
      // The listener is the caller's; what it throws says nothing about the VM.
    }
  }
}
