import { posix } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { z } from 'zod'
import { FileError } from '../../base/index.ts'
import { decodeGuestPath } from '../guest-path.ts'

const FILE_TYPES = ['file', 'directory', 'symlink', 'fifo', 'socket', 'block-device', 'character-device'] as const
export type FileType = (typeof FILE_TYPES)[number]

/** A file of the guest. Bytes of names that are not UTF-8 are U+DC80–U+DCFF, as in Python. */
export interface FileInfo {
  /** Absolute; in a listing, too. */
  readonly path: string
  /** The last part of the path. */
  readonly name: string
  readonly type: FileType
  /** Bytes that reading gives: the apparent size. */
  readonly size: number
  /** Bytes that it takes: less than its size for a sparse file. */
  readonly allocatedBytes: number
  /** Permission bits, e.g. 0o644. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** When its content was last changed, in milliseconds since 1970. */
  readonly mtimeMs: number
  /** What a symbolic link points to. */
  readonly target?: string
}

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)

export const base64Path = z.base64().max(8_192)

const schema = z.object({
  path: base64Path,
  type: z.enum(FILE_TYPES),
  size: count,
  allocatedBytes: count,
  mode: z.number().int().min(0).max(0o7777),
  uid: count,
  gid: count,
  // What a Date can be.
  mtimeMs: z.number().min(-8.64e15).max(8.64e15),
  target: base64Path.optional(),
})

/**
 * Reads one line of the file tool's.
 * @param directory what the path in it is relative to
 */
export function parseFileInfo(line: string, directory: string): FileInfo {
  const parsed = schema.safeParse(parseJson(line))
  if (!parsed.success) throw unreadable(directory)
  const { path, target, ...facts } = parsed.data
  const told = pathOf(path)
  const linked = target === undefined ? undefined : pathOf(target)
  // Names of real files have none of this; callers make paths of their own from them.
  if (told.includes('\0') || linked?.includes('\0') || told.split('/').includes('..')) throw unreadable(directory)
  const absolute = posix.join(directory, told)
  return {
    path: absolute,
    name: posix.basename(absolute),
    ...facts,
    ...(linked === undefined ? {} : { target: linked }),
  }
}

/** As many as a listing may have: each costs some hundred bytes here. */
const MAX_ENTRIES = 200_000

/** Characters of a line: two paths in base64, and the facts. */
const LINE_CHARACTERS = 20_000
/** Lines read before everybody else in this process gets a turn. */
const BATCH = 1_000

/** Reads the lines of a listing, one after the other: a guest may send a million of nothing. */
export async function parseListing(text: string, directory: string): Promise<FileInfo[]> {
  const entries: FileInfo[] = []
  for (let start = 0, end = text.indexOf('\n'); end !== -1; start = end + 1, end = text.indexOf('\n', start)) {
    if (entries.length === MAX_ENTRIES) {
      const message = `Cannot list ${directory}: expected at most ${MAX_ENTRIES} entries (EOVERFLOW)`
      throw new FileError(message, { path: directory, errno: 'EOVERFLOW' })
    }
    if (end - start > LINE_CHARACTERS) throw unreadable(directory)
    entries.push(parseFileInfo(text.slice(start, end), directory))
    if (entries.length % BATCH === 0) await nextTurn()
  }
  return entries
}

/** The error of an answer that the tool itself never gives: somebody in the guest has meddled with it. */
export function unreadable(path: string): FileError {
  return new FileError(`Cannot read what the guest says of ${path} (EPROTO)`, { path, errno: 'EPROTO' })
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function pathOf(base64: string): string {
  return decodeGuestPath(Buffer.from(base64, 'base64'))
}
