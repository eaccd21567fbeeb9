import { fileError } from './file-error.ts'
import { type FileHost, toolPath, Transfer } from './file-tool.ts'

export interface ReadSource {
  /** Absolute. */
  readonly path: string
  readonly maxBytes: number
  readonly signal: AbortSignal | undefined
}

/** The whole content of a file. */
export async function readAll(host: FileHost, source: ReadSource): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const piece of content(host, source)) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** The content of a file as it comes, for one reader. Leaving the loop, or disposing of it, ends the transfer. */
export interface FileStream extends AsyncIterableIterator<Uint8Array, void, undefined>, AsyncDisposable {}

/** Resolves when the file is known to be readable. */
export async function readStream(host: FileHost, source: ReadSource): Promise<FileStream> {
  const pieces = content(host, source, { waitsForTurn: false })
  // From here on the generator has begun, so that its `return` ends the transfer.
  let first: IteratorResult<Uint8Array, void> | undefined = await pieces.next()
  const stream: FileStream = {
    async next() {
      const step = first ?? (await pieces.next())
      first = undefined
      return step
    },
    async return() {
      return await pieces.return()
    },
    [Symbol.asyncIterator]: () => stream,
    async [Symbol.asyncDispose]() {
      await pieces.return()
    },
  }
  return stream
}

/** The content of a file as it comes. The transfer begins with the first step. */
export async function* content(
  host: FileHost,
  source: ReadSource,
  options = { waitsForTurn: true },
): AsyncGenerator<Uint8Array, void, undefined> {
  const { path, maxBytes, signal } = source
  const doing = `read ${path}`
  const operation = { name: 'read', params: { path: toolPath(path) }, path, doing, signal } as const
  const transfer = await Transfer.open(host, operation, options)
  let whole = false
  let bytes = 0
  try {
    transfer.end()
    for (let piece = await transfer.read(); piece !== undefined; piece = await transfer.read()) {
      bytes += piece.byteLength
      if (bytes > maxBytes) throw fileError(`${doing}: more than ${maxBytes} bytes`, path, 'EFBIG')
      yield piece
    }
    await transfer.finish()
    whole = true
  } finally {
    if (!whole) transfer.abandon()
  }
}
