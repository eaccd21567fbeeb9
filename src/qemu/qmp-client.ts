import type { Duplex } from 'node:stream'
import { z } from 'zod'
import { withDeadline } from '../base/index.ts'
import { LineSplitter } from './qmp-lines.ts'
import { parseQmpMessage, type QemuVersion, type QmpEvent, type QmpMessage } from './qmp-messages.ts'

/** Why a QMP call did not give a result. */
export type QmpFailure =
  /** QEMU refused the command. */
  | 'refused'
  /** No answer in time. */
  | 'timeout'
  /** The connection ended before the answer. */
  | 'closed'
  /** QEMU sent what QMP does not allow; the connection is closed. */
  | 'malformed'

/** A QMP call that failed; the stack is that of the call, not of the reader. */
export class QmpError extends Error {
  readonly failure: QmpFailure

  constructor(failure: QmpFailure, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'QmpError'
    this.failure = failure
  }
}

export interface QmpOptions {
  /** Milliseconds for the greeting and the capabilities. */
  readonly timeoutMs: number
  /** Called for each event; must not throw. */
  readonly onEvent: (event: QmpEvent) => void
  /** Called once when QEMU sent what QMP does not allow: it is not to be believed any more. */
  readonly onMalformed: (reason: string) => void
  readonly signal?: AbortSignal | undefined
}

export interface QmpCall<T> {
  readonly result: z.ZodType<T>
  /** Milliseconds until the call gives up. @default 5000 */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal | undefined
}

interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (failure: QmpFailure, detail: string) => void
}

const DEFAULT_TIMEOUT_MS = 5_000

/** Calls under way at a time: we make one or two; more means that a caller loops. */
const PENDING_LIMIT = 64

/** Messages nobody asked for, in one second, beyond which QEMU is no longer believed: an honest one sends a few in its life. */
const UNASKED_PER_SECOND_LIMIT = 512

/** Talks QMP with one QEMU over a connected socket. Replies find their call by id, whatever comes between. */
export class QmpClient {
  readonly #socket: Duplex
  readonly #onEvent: (event: QmpEvent) => void
  readonly #onMalformed: (reason: string) => void
  readonly #splitter = new LineSplitter()
  readonly #pending = new Map<number, Pending>()
  #greeting: Pending | undefined
  #nextId = 1
  #ended: { failure: QmpFailure; detail: string } | undefined
  #version: QemuVersion = { major: 0, minor: 0, micro: 0 }
  #unaskedInWindow = 0
  #windowStart = 0

  private constructor(socket: Duplex, options: QmpOptions) {
    this.#socket = socket
    this.#onEvent = options.onEvent
    this.#onMalformed = options.onMalformed
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', (error) => this.#end('closed', error.message))
    socket.on('close', () => this.#end('closed', 'QEMU closed the connection'))
    socket.on('end', () => this.#end('closed', 'QEMU closed the connection'))
  }

  /** Waits for QEMU's greeting and negotiates capabilities. */
  static async open(socket: Duplex, options: QmpOptions): Promise<QmpClient> {
    const client = new QmpClient(socket, options)
    const greeted = client.#expect('the greeting', (pending) => {
      client.#greeting = pending
    })
    const deadline = { timeoutMs: options.timeoutMs, signal: options.signal }
    await withDeadline(greeted, { ...deadline, onTimeout: () => timeoutError('the greeting', options.timeoutMs) })
    await client.execute('qmp_capabilities', {}, { ...deadline, result: z.unknown() })
    return client
  }

  /** QEMU's version, from its greeting. */
  get version(): QemuVersion {
    return this.#version
  }

  /**
   * Runs one command.
   * @throws QmpError · AbortedError
   */
  async execute<T>(command: string, args: Readonly<Record<string, unknown>>, call: QmpCall<T>): Promise<T> {
    const id = this.#nextId++
    const timeoutMs = call.timeoutMs ?? DEFAULT_TIMEOUT_MS
    if (this.#pending.size >= PENDING_LIMIT) throw new QmpError('refused', `${command}: too many QMP calls under way`)
    const reply = this.#expect(command, (pending) => this.#pending.set(id, pending))
    if (this.#ended === undefined) this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`)
    try {
      const value = await withDeadline(reply, {
        timeoutMs,
        signal: call.signal,
        onTimeout: () => timeoutError(command, timeoutMs),
      })
      const parsed = call.result.safeParse(value)
      if (!parsed.success) throw new QmpError('malformed', `QMP ${command}: unexpected result`, parsed.error)
      return parsed.data
    } finally {
      this.#pending.delete(id)
    }
  }

  /** Ends the connection; calls under way fail. */
  close(): void {
    this.#end('closed', 'the connection was closed')
  }

  async #expect(label: string, register: (pending: Pending) => void): Promise<unknown> {
    // Made here so that the stack shows who asked.
    const error = new QmpError('closed', label)
    return await new Promise((resolve, reject) => {
      const fail = (failure: QmpFailure, detail: string): void => {
        error.message = `QMP ${label}: ${detail}`
        reject(
          failure === 'closed' ? error : Object.assign(new QmpError(failure, error.message), { stack: error.stack }),
        )
      }
      if (this.#ended === undefined) register({ resolve, reject: fail })
      else fail(this.#ended.failure, this.#ended.detail)
    })
  }

  #read(chunk: Buffer): void {
    if (this.#ended !== undefined) return
    try {
      for (const line of this.#splitter.push(chunk)) this.#take(parseQmpMessage(line))
    } catch (error) {
      const reason = `QEMU sent what is not QMP: ${error instanceof Error ? error.message : String(error)}`
      this.#onMalformed(reason)
      this.#end('malformed', reason)
    }
  }

  #take(message: QmpMessage): void {
    switch (message.kind) {
      case 'greeting':
        this.#version = message.version
        this.#greeting?.resolve(undefined)
        this.#greeting = undefined
        return
      case 'event':
        this.#countUnasked()
        this.#onEvent(message.event)
        return
      case 'success':
        this.#answered(message.id)?.resolve(message.value)
        return
      case 'failure':
        // Without an id QEMU could not read our line at all: we are out of step.
        if (message.id === undefined) throw new Error(message.description)
        this.#answered(message.id)?.reject('refused', `${message.class}: ${message.description}`)
    }
  }

  // The reply to a call that gave up meanwhile finds nobody; that is no error.
  #answered(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    if (pending === undefined) this.#countUnasked()
    this.#pending.delete(id)
    return pending
  }

  #countUnasked(): void {
    const now = performance.now()
    if (now - this.#windowStart > 1_000) {
      this.#windowStart = now
      this.#unaskedInWindow = 0
    }
    this.#unaskedInWindow += 1
    if (this.#unaskedInWindow > UNASKED_PER_SECOND_LIMIT) throw new Error('a flood of messages nobody asked for')
  }

  #end(failure: QmpFailure, detail: string): void {
    if (this.#ended !== undefined) return
    this.#ended = { failure, detail }
    const waiting = [...this.#pending.values(), ...(this.#greeting === undefined ? [] : [this.#greeting])]
    this.#pending.clear()
    this.#greeting = undefined
    for (const pending of waiting) pending.reject(failure, detail)
    this.#socket.destroy()
  }
}

function timeoutError(label: string, timeoutMs: number): QmpError {
  return new QmpError('timeout', `QMP ${label}: no answer within ${timeoutMs} ms`)
}
