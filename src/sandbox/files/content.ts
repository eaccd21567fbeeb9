import { InvalidInputError } from '../../base/index.ts'

/** What a file can be written from: text, bytes, pieces of either as they come, or a file or directory of the host. */
export type FileContent = string | Uint8Array | AsyncIterable<string | Uint8Array> | { readonly hostPath: string }

/** What a file is written from, told apart. */
export type ResolvedContent =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'stream'; readonly chunks: AsyncIterable<string | Uint8Array> }
  | { readonly kind: 'host'; readonly hostPath: string }

/** @throws InvalidInputError for anything else than a FileContent */
export function resolveContent(content: unknown, field: string): ResolvedContent {
  if (typeof content === 'string') {
    if (content.isWellFormed()) return { kind: 'bytes', bytes: Buffer.from(content) }
    throw refuse(field, 'expected well-formed Unicode, got a lone surrogate; write bytes instead')
  }
  if (content instanceof Uint8Array) return { kind: 'bytes', bytes: content }
  if (typeof content === 'object' && content !== null) {
    if (isChunks(content)) return { kind: 'stream', chunks: content }
    const hostPath: unknown = Reflect.get(content, 'hostPath')
    if (typeof hostPath === 'string' && hostPath !== '' && !hostPath.includes('\0')) return { kind: 'host', hostPath }
  }
  throw refuse(field, 'expected a string, a Uint8Array, an async iterable of these, or { hostPath }')
}

function isChunks(value: object): value is AsyncIterable<string | Uint8Array> {
  return Symbol.asyncIterator in value
}

function refuse(field: string, what: string): InvalidInputError {
  return new InvalidInputError(`${field}: ${what}`, { field })
}
