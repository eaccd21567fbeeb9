import { z } from 'zod'
import { base64Path, parseJson, unreadable } from './file-info.ts'

/**
 * A tree of files as one stream of bytes, in both directions (docs/file-tool.md, "Record stream"): each record is a
 * header of JSON behind its length; a file's content follows in chunks.
 */

/** Bytes of a header, and of a chunk, that are taken at most. */
const HEADER_BYTES = 65_536
const CHUNK_BYTES = 1_048_576

const moment = z.number().min(-8.64e15).max(8.64e15)
const mode = z.number().int().min(0).max(0o7777)
const skippedEntry = z.object({ path: base64Path, type: z.string().max(32) })

const header = z.discriminatedUnion('type', [
  z.object({ type: z.literal('directory'), path: base64Path, mode, mtimeMs: moment }),
  z.object({ type: z.literal('file'), path: base64Path, mode, mtimeMs: moment, sparse: z.boolean() }),
  z.object({ type: z.literal('symlink'), path: base64Path, mode, mtimeMs: moment, target: base64Path }),
  z.object({ type: z.literal('end'), entries: z.number().int().min(0), skipped: z.array(skippedEntry).max(100) }),
])

export type TreeHeader = z.infer<typeof header>
export type TreeEntry = Exclude<TreeHeader, { readonly type: 'end' }>

/** A header as bytes. `end` needs no `skipped` towards the guest. */
export function encodeHeader(record: TreeEntry | { readonly type: 'end'; readonly entries: number }): Buffer {
  const json = Buffer.from(JSON.stringify(record))
  return Buffer.concat([encodeLength(json.byteLength), json])
}

/** What stands before a chunk of content; 0 ends the content. */
export function encodeLength(length: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(length)
  return bytes
}

/** Reads the records of a guest, which is hostile: no length is believed beyond its limit. */
export class TreeReader {
  readonly #next: () => Promise<Uint8Array | undefined>
  readonly #path: string
  #held: Uint8Array = new Uint8Array(0)

  /** @param path of the tree, for errors */
  constructor(next: () => Promise<Uint8Array | undefined>, path: string) {
    this.#next = next
    this.#path = path
  }

  /** The next record. After a file its content must be read before the next. */
  async header(): Promise<TreeHeader> {
    const length = await this.#length()
    if (length === 0 || length > HEADER_BYTES) throw unreadable(this.#path)
    const parsed = header.safeParse(parseJson((await this.#exactly(length)).toString()))
    if (!parsed.success) throw unreadable(this.#path)
    return parsed.data
  }

  /** The content of a file, piece by piece. */
  async *content(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let left = await this.#length(); left > 0; left = await this.#length()) {
      if (left > CHUNK_BYTES) throw unreadable(this.#path)
      while (left > 0) {
        const piece = await this.#some(left)
        left -= piece.byteLength
        yield piece
      }
    }
  }

  /** There must be nothing behind the last record. */
  async end(): Promise<void> {
    if (this.#held.byteLength > 0 || (await this.#next()) !== undefined) throw unreadable(this.#path)
  }

  async #length(): Promise<number> {
    return (await this.#exactly(4)).readUInt32LE()
  }

  async #exactly(length: number): Promise<Buffer> {
    const pieces: Uint8Array[] = []
    for (let left = length; left > 0; ) {
      const piece = await this.#some(left)
      pieces.push(piece)
      left -= piece.byteLength
    }
    return Buffer.concat(pieces, length)
  }

  async #some(most: number): Promise<Uint8Array> {
    while (this.#held.byteLength === 0) {
      const chunk = await this.#next()
      if (chunk === undefined) throw unreadable(this.#path)
      this.#held = chunk
    }
    const piece = this.#held.subarray(0, most)
    this.#held = this.#held.subarray(most)
    return piece
  }
}
