// The private descriptor: messages between the agent and this REPL (docs/repl-protocol.md).

import process from 'node:process'
import { closeDescriptor, duplicateOutOfReach, writeAll } from './descriptors.ts'

/** Limits of the protocol: towards the REPL (a program is at most 1 MiB of UTF-8), and from it. */
const RECEIVE_LIMIT = 2_097_152
export const SEND_LIMIT = 524_288

/** Where the protocol puts the private descriptor. */
const AGENT_DESCRIPTOR = 3

/** sysexits.h EX_PROTOCOL. */
const EXIT_PROTOCOL = 76

const HEADER_LENGTH = 5

/** A program comes with a mark, and what is said about its run begins with it. */
const MARK_LENGTH = 16

const { DataView, String, Uint8Array } = globalThis
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const reallyExit = process.reallyExit.bind(process)

export interface Message {
  readonly kind: string
  readonly payload: Uint8Array
}

export class Wire {
  readonly #descriptor: number
  readonly #receive: (message: Message) => void
  #pending = new Uint8Array(0)
  #mark = ''

  private constructor(receive: (message: Message) => void) {
    this.#descriptor = duplicateOutOfReach(AGENT_DESCRIPTOR)
    closeDescriptor(AGENT_DESCRIPTOR)
    this.#receive = receive
  }

  /** Takes descriptor 3 over; `receive` is called for each message as it comes. */
  static async open(receive: (message: Message) => void): Promise<Wire> {
    const wire = new Wire(receive)
    await Bun.connect({
      fd: wire.#descriptor,
      socket: {
        data: (_socket: unknown, bytes: Uint8Array) => wire.#take(bytes),
        // The agent has closed its side: nobody is left to speak to.
        end: () => reallyExit(0),
        close: () => reallyExit(0),
        error: () => reallyExit(EXIT_PROTOCOL),
      },
      // Bun takes a descriptor here; its types know only of host and path.
    } as unknown as Parameters<typeof Bun.connect>[0])
    return wire
  }

  /** Takes the mark off a `C` message; gives the source. */
  beginRun(payload: Uint8Array): string {
    this.#mark = decode(payload.subarray(0, MARK_LENGTH))
    return decode(payload.subarray(MARK_LENGTH))
  }

  /** Sends a message about the run. */
  report(kind: string, text: string): void {
    this.send(kind, this.#mark + text)
  }

  send(kind: string, text = ''): void {
    const payload = encoder.encode(text)
    const frame = new Uint8Array(HEADER_LENGTH + payload.length)
    frame[0] = kind.charCodeAt(0)
    new DataView(frame.buffer).setUint32(1, payload.length, true)
    frame.set(payload, HEADER_LENGTH)
    writeAll(this.#descriptor, frame)
  }

  #take(bytes: Uint8Array): void {
    this.#pending = concatenate(this.#pending, bytes)
    while (this.#pending.length >= HEADER_LENGTH) {
      const view = new DataView(this.#pending.buffer, this.#pending.byteOffset)
      const end = HEADER_LENGTH + view.getUint32(1, true)
      if (end > HEADER_LENGTH + RECEIVE_LIMIT) reallyExit(EXIT_PROTOCOL)
      if (this.#pending.length < end) return
      const message = {
        kind: String.fromCharCode(view.getUint8(0)),
        payload: this.#pending.slice(HEADER_LENGTH, end),
      }
      this.#pending = this.#pending.slice(end)
      this.#receive(message)
    }
  }
}

export function decode(payload: Uint8Array): string {
  return decoder.decode(payload)
}

function concatenate(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = new Uint8Array(first.length + second.length)
  all.set(first)
  all.set(second, first.length)
  return all
}
