import { InvalidInputError } from '../base/index.ts'

/** A piece of content as bytes. @throws InvalidInputError for anything else than text or a Uint8Array */
export function bytesOf(piece: unknown, field: string): Uint8Array {
  if (piece instanceof Uint8Array) return piece
  if (typeof piece === 'string' && piece.isWellFormed()) return Buffer.from(piece)
  const given = typeof piece === 'string' ? 'text with a lone surrogate' : typeof piece
  throw new InvalidInputError(`${field}: expected pieces of text or Uint8Arrays, got ${given}`, { field })
}

/**
 * The pieces of a source until `over` is settled: a source that waits for its own next piece must not hold up whoever
 * waits for what is over. It is then ended, and not waited for.
 */
export async function* piecesUntil<T>(
  source: AsyncIterable<T>,
  over: Promise<unknown>,
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]()
  const state = { isOver: false, wake: (): void => undefined }
  // One reaction for the whole source: `over` may be pending for long, and would keep one for each piece.
  const end = (): void => {
    state.isOver = true
    state.wake()
  }
  over.then(end, end)
  try {
    while (!state.isOver) {
      const step = await new Promise<IteratorResult<T> | undefined>((resolve, reject) => {
        state.wake = () => resolve(undefined)
        iterator.next().then(resolve, reject)
      })
      if (step === undefined || step.done === true) return
      yield step.value
    }
  } finally {
    void Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
}
