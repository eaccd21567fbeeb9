import { throwIfAborted, VmLostError, withDeadline } from '../../base/index.ts'
import type { Exchange } from '../../channel/index.ts'
import { type ExecEnd, type ExecRequest, execProgram, STREAMS, type Vm } from '../../vm/index.ts'
import { CallQueue } from '../call-queue.ts'
import { encodeGuestPath } from '../guest-path.ts'
import type { Lifetime } from '../lifetime.ts'
import { startProgram } from '../program-call.ts'
import { refusalError, toolError } from './file-error.ts'
import { GuestPace } from './guest-pace.ts'

/** Where the image has the program that acts for us with the rights of the user (docs/file-tool.md). */
const TOOL = '/run/exec-sandbox/tools/files'

/** A listing: a hundred thousand entries of a directory. */
const LISTING_BYTES = 67_108_864

/** Any other answer, and a complaint: one line of JSON. */
const LINE_BYTES = 65_536

/** Tools of one sandbox at a time: each is a process with a megabyte of its own. */
const TOOLS = 16
/** Operations that wait for one; more are a program that does not await. */
const MAX_WAITING = 10_000

/** Milliseconds for an operation that moves no content, removing a large tree included. */
const OPERATION_TIMEOUT_MS = 120_000

/** Sent under one deadline: a few windows of credit. */
const BLOCK_BYTES = 1_048_576

/**
 * What the guest may send ahead of us: four times as much as on other streams, so that it seldom waits for our word. It
 * bounds what a transfer holds of content that its reader has not taken.
 */
const CONTENT_WINDOW_BYTES = 1_048_576

/** What the operations of a sandbox's files stand on. */
export class FileHost {
  readonly vm: Vm
  readonly life: Lifetime
  readonly #line = new CallQueue({ width: TOOLS, maxWaiting: MAX_WAITING, what: 'file operations of one sandbox' })

  constructor(vm: Vm, life: Lifetime) {
    this.vm = vm
    this.life = life
    // Each that waits finds the sandbox ended.
    void life.closed.then(() => this.#line.open())
  }

  /** Waits until another tool may run; the returned function ends its turn. */
  async turn(signal: AbortSignal | undefined): Promise<() => void> {
    const leave = await this.#line.enter(signal)
    try {
      this.life.throwIfEnded()
      throwIfAborted(signal)
      return leave
    } catch (error) {
      leave()
      throw error
    }
  }
}

/** An operation of the file tool. */
export interface FileOperation {
  readonly name: 'read' | 'write' | 'stat' | 'list' | 'mkdir' | 'rename' | 'remove' | 'chmod' | 'pack' | 'unpack'
  readonly params: Readonly<Record<string, unknown>>
  /** The file it is about, for errors. */
  readonly path: string
  /** Completes "Cannot …". */
  readonly doing: string
  readonly signal: AbortSignal | undefined
}

/** The form in which the tool takes paths. */
export function toolPath(path: string): string {
  return encodeGuestPath(path).toString('base64')
}

/** Performs an operation that moves no content, and gives what the tool printed. */
export async function askTool(host: FileHost, operation: FileOperation): Promise<string> {
  const { vm, life } = host
  const { name, path, doing, signal } = operation
  return await life.busy(async () => {
    const limits = { stdout: name === 'list' ? LISTING_BYTES : LINE_BYTES, stderr: LINE_BYTES }
    const leave = await host.turn(signal)
    const call = startProgram(vm, {
      begin: () => {
        const exchange = execProgram(vm.channel, requestOf(operation, OPERATION_TIMEOUT_MS, limits.stdout))
        exchange.writable(STREAMS.stdin).end()
        return exchange
      },
      limits,
      timeoutMs: OPERATION_TIMEOUT_MS,
      signal,
      explainRefusal: (error) => refusalError(doing, path, error),
    })
    void call.finished.then(leave)
    const { end, reason, stdout, stderr, stdoutTruncated } = await call.outcome
    if (reason !== 'exit' || end.exitCode !== 0) {
      throw toolError(doing, path, { exitCode: end.exitCode, reason, stderr })
    }
    if (stdoutTruncated) throw toolError(doing, path, { exitCode: 1, reason, stderr: '{"errno":"EOVERFLOW"}' })
    return stdout
  })
}

/** An operation that moves content, under way. It keeps the sandbox from its idle time-out until it is over. */
export class Transfer {
  readonly #host: FileHost
  readonly #operation: FileOperation
  readonly #exchange: Exchange<ExecEnd>
  readonly #content: AsyncIterator<Uint8Array, undefined>
  readonly #complaint: Promise<string>
  readonly #pace = new GuestPace()

  /**
   * Begins it.
   * @param options.waitsForTurn whether it takes one of the places of `FileHost.turn`: not when the caller decides over its
   * pace, who could then keep all others waiting, or himself
   */
  static async open(
    host: FileHost,
    operation: FileOperation,
    options: { readonly waitsForTurn: boolean },
  ): Promise<Transfer> {
    host.life.throwIfEnded()
    const leave = host.life.enter()
    try {
      const leaveTurn = options.waitsForTurn ? await host.turn(operation.signal) : () => undefined
      return new Transfer(host, operation, () => {
        leaveTurn()
        leave()
      })
    } catch (error) {
      leave()
      throw host.life.explain(error)
    }
  }

  private constructor(host: FileHost, operation: FileOperation, leave: () => void) {
    const { vm } = host
    this.#host = host
    this.#operation = operation
    this.#exchange = execProgram(vm.channel, requestOf(operation, 0, 0), { signal: operation.signal })
    this.#exchange.widen(STREAMS.stdout, CONTENT_WINDOW_BYTES)
    this.#content = this.#exchange.readable(STREAMS.stdout)
    this.#complaint = collectText(this.#exchange.readable(STREAMS.stderr))
    // It is awaited only at the end; until then its failure is told by the other streams.
    this.#complaint.catch(() => undefined)
    void this.#exchange.settled.then(leave)
  }

  /** Resolves when there is nothing more to do for it: it has ended, or the caller has given it up. */
  get over(): Promise<void> {
    return this.#exchange.response.then(
      () => undefined,
      () => undefined,
    )
  }

  /** Sends content; false when the tool takes no more, which `finish` explains. */
  async write(chunk: Uint8Array): Promise<boolean> {
    const writer = this.#exchange.writable(STREAMS.stdin)
    // Each block has a deadline of its own: a large chunk through a slow guest takes its time.
    for (let done = 0; done < chunk.byteLength; done += BLOCK_BYTES) {
      const block = chunk.subarray(done, done + BLOCK_BYTES)
      if (!(await this.#turnOfGuest(writer.write(block)))) return false
      this.#pace.moved(block.byteLength)
    }
    return true
  }

  /** There is no more content to send. */
  end(): void {
    this.#exchange.writable(STREAMS.stdin).end()
  }

  /** The next content of the guest's; undefined at its end. */
  async read(): Promise<Uint8Array | undefined> {
    const { value } = await this.#turnOfGuest(this.#content.next())
    this.#pace.moved(value?.byteLength ?? 0)
    return value
  }

  /**
   * Waits for the end of the operation.
   * @throws FileError when it failed
   */
  async finish(): Promise<void> {
    const { doing, path } = this.#operation
    const end = await this.#turnOfGuest(this.#exchange.response)
    const stderr = await this.#complaint
    if (end.reason === 'exit' && end.exitCode === 0) return
    throw toolError(doing, path, { exitCode: end.exitCode, reason: end.reason, stderr })
  }

  /** Ends the operation early. What it was about to publish is not there. */
  abandon(): void {
    this.#exchange.cancel()
    void this.#content.return?.()
    void this.#exchange.readable(STREAMS.stderr).return?.()
  }

  async #turnOfGuest<T>(promise: Promise<T>): Promise<T> {
    const { vm, life } = this.#host
    const startedAt = performance.now()
    const timeoutMs = this.#pace.leftMs
    const onTimeout = (): Error => {
      const reason = `it did not go on with a transfer for ${Math.round(timeoutMs / 1000)} s, or went on too slowly`
      vm.end(reason)
      return new VmLostError(`The VM ended: ${reason}`, { dispatched: true })
    }
    try {
      return await withDeadline(promise, { timeoutMs, onTimeout })
    } catch (error) {
      const { doing, path } = this.#operation
      throw refusalError(doing, path, error) ?? life.explain(await vm.explain(error, true))
    } finally {
      this.#pace.waited(performance.now() - startedAt)
    }
  }
}

function requestOf({ name, params }: FileOperation, timeoutMs: number, stdoutLimit: number): ExecRequest {
  const argv = [TOOL, name, JSON.stringify(params)]
  // Not the home directory: its owner may have closed it, and means to open it again.
  return { argv, cwd: '/', env: {}, timeoutMs, stdoutLimit, stderrLimit: LINE_BYTES }
}

async function collectText(stream: AsyncIterable<Uint8Array>): Promise<string> {
  let text = ''
  for await (const chunk of stream) {
    // The agent keeps to the limit; a guest that does not is not worth more than its beginning.
    if (text.length < LINE_BYTES) text += Buffer.from(chunk).toString('latin1')
  }
  return text
}
