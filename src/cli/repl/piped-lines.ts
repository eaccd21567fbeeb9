import { TextDecoder } from 'node:util'
import { InvalidInputError } from '../../base/index.ts'
import { INPUT_LIMITS } from '../../sandbox/index.ts'
import type { Input, LineSource } from './line-source.ts'

/** Lines from a pipe or a file. */
export class PipedLines implements LineSource {
  readonly #input: NodeJS.ReadStream
  readonly #lines: AsyncIterator<string, undefined>
  #closed = false

  constructor(input: NodeJS.ReadStream) {
    this.#input = input
    this.#lines = linesOf(input)
  }

  async read(): Promise<Input> {
    try {
      const { value } = await this.#lines.next()
      return value === undefined ? { kind: 'end' } : { kind: 'line', text: value, more: false }
    } catch (error) {
      if (this.#closed) return { kind: 'end' }
      throw error
    }
  }

  suspend(): void {
    // What is not read stays in the pipe.
  }

  interrupt(): void {
    // A script has no line that could be cleared.
  }

  close(): void {
    this.#closed = true
    this.#input.destroy()
  }
}

/**
 * The lines of a text, without their ends.
 * @throws InvalidInputError for one that is larger than a program may be, and for bytes that are no UTF-8
 */
export async function* linesOf(input: AsyncIterable<unknown>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let held = ''
  for await (const chunk of input) {
    held += decode(decoder, Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk)), true)
    const lines = held.split('\n')
    held = lines.pop() ?? ''
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line
    if (held.length > INPUT_LIMITS.codeBytes) {
      throw refuse(`expected lines of at most ${INPUT_LIMITS.codeBytes} characters`)
    }
  }
  held += decode(decoder, new Uint8Array(0), false)
  if (held !== '') yield held
  return undefined
}

function decode(decoder: TextDecoder, bytes: Uint8Array, stream: boolean): string {
  try {
    return decoder.decode(bytes, { stream })
  } catch (error) {
    throw refuse('expected UTF-8 text', error)
  }
}

function refuse(why: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError(`stdin cannot be read as statements: ${why}`, { field: 'stdin' }, cause)
}
