import type { Readable } from 'node:stream'

/** An object that a store has begun to send. */
export interface StoredObject {
  /** What the store says; undefined when it says nothing. */
  readonly bytes: number | undefined
  /** Whoever does not read it to its end destroys it. May fail, may end early, may never end. */
  readonly body: Readable
}

/** An object to be stored. */
export interface NewObject {
  readonly bytes: number
  /** Hexadecimal digest of the bytes: part of what is signed, so that nothing on the way can change them. */
  readonly sha256: string
  readonly contentType: string
  /** The bytes, from the beginning, at each call. */
  readonly body: () => Uint8Array | Readable
}

/** The little of S3 that the remote cache needs. Everything it throws is about the store or the way to it. */
export interface ObjectStore {
  /** The object of this name, or undefined when there is none. */
  get(name: string, options: { readonly signal: AbortSignal }): Promise<StoredObject | undefined>
  put(name: string, object: NewObject, options: { readonly signal: AbortSignal }): Promise<void>
  /** Closes its connections. */
  close(): void
}
