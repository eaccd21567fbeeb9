import { VmLostError, withDeadline } from '../../base/index.ts'
import type { Exchange } from '../../channel/index.ts'
import { type ExecEnd, type ExecRequest, execProgram, STREAMS, type Vm } from '../../vm/index.ts'
import { encodeGuestPath, HOME } from '../guest-path.ts'
import type { Lifetime } from '../lifetime.ts'
import { startProgram } from '../program-call.ts'
import { refusalError, toolError } from './file-error.ts'

/** Where the image has the program that acts for us with the rights of the user (docs/file-tool.md). */
const TOOL = '/run/exec-sandbox/tools/files'

/** An answer that is no content: a hundred thousand entries of a directory. */
const ANSWER_BYTES = 67_108_864

/** One line of JSON. */
const COMPLAINT_BYTES = 65_536

/** Milliseconds for an operation that moves no content, removing a large tree included. */
const OPERATION_TIMEOUT_MS = 120_000

/** Milliseconds in which a transfer moves at least something; a guest that is starved under emulation moves slowly. */
const STALL_TIMEOUT_MS = 60_000

/** Sent under one deadline: a few windows of credit. */
const BLOCK_BYTES = 1_048_576

/**
 * What the guest may send ahead of us: four times as much as on other streams, so that it seldom waits for our word. It
 * bounds what a transfer holds of content that its reader has not taken.
 */
const CONTENT_WINDOW_BYTES = 1_048_576

export interface FileHost {
  readonly vm: Vm
  readonly life: Lifetime
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
export async function askTool({ vm, life }: FileHost, operation: FileOperation): Promise<string> {
  const { path, doing, signal } = operation
  return await life.busy(async () => {
    const limits = { stdout: ANSWER_BYTES, stderr: COMPLAINT_BYTES }
    const call = startProgram(vm, {
      begin: () => {
        const exchange = execProgram(vm.channel, requestOf(operation, OPERATION_TIMEOUT_MS, ANSWER_BYTES))
        exchange.writable(STREAMS.stdin).end()
        return exchange
      },
      limits,
      timeoutMs: OPERATION_TIMEOUT_MS,
      signal,
      explainRefusal: (error) => refusalError(doing, path, error),
    })
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
  readonly #leave: () => void

  constructor(host: FileHost, operation: FileOperation) {
    const { vm, life } = host
    life.throwIfEnded()
    this.#host = host
    this.#operation = operation
    this.#leave = life.enter()
    this.#exchange = execProgram(vm.channel, requestOf(operation, 0, 0), { signal: operation.signal })
    this.#exchange.widen(STREAMS.stdout, CONTENT_WINDOW_BYTES)
    this.#content = this.#exchange.readable(STREAMS.stdout)
    this.#complaint = collectText(this.#exchange.readable(STREAMS.stderr))
    // It is awaited only at the end; until then its failure is told by the other streams.
    this.#complaint.catch(() => undefined)
    void this.#exchange.settled.then(this.#leave)
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
      if (!(await this.#turnOfGuest(writer.write(chunk.subarray(done, done + BLOCK_BYTES))))) return false
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
    const onTimeout = (): Error => {
      const reason = `it did not go on with a transfer for ${STALL_TIMEOUT_MS / 1000} s`
      vm.end(reason)
      return new VmLostError(`The VM ended: ${reason}`, { dispatched: true })
    }
    try {
      return await withDeadline(promise, { timeoutMs: STALL_TIMEOUT_MS, onTimeout })
    } catch (error) {
      const { doing, path } = this.#operation
      throw refusalError(doing, path, error) ?? life.explain(await vm.explain(error, true))
    }
  }
}

function requestOf({ name, params }: FileOperation, timeoutMs: number, stdoutLimit: number): ExecRequest {
  const argv = [TOOL, name, JSON.stringify(params)]
  return { argv, cwd: HOME, env: {}, timeoutMs, stdoutLimit, stderrLimit: COMPLAINT_BYTES }
}

async function collectText(stream: AsyncIterable<Uint8Array>): Promise<string> {
  let text = ''
  for await (const chunk of stream) {
    // The agent keeps to the limit; a guest that does not is not worth more than its beginning.
    if (text.length < COMPLAINT_BYTES) text += Buffer.from(chunk).toString('latin1')
  }
  return text
}
