import { z } from 'zod'
import { InvalidInputError } from '../../base/index.ts'
import { parseOptions, signal } from '../parse-options.ts'

/** What a file can be read as. */
export type FileFormat = 'text' | 'bytes' | 'stream'

interface Abortable {
  readonly signal?: AbortSignal
}

export interface ReadOptions<F extends FileFormat = FileFormat> extends Abortable {
  /** `text` decodes UTF-8; `stream` gives the bytes as they come, and slows the guest to your pace. @default 'text' */
  readonly format?: F
  /** Bytes that are taken at most; more is a FileError. @default the VM's memory; for `stream` none */
  readonly maxBytes?: number
}

export interface WriteOptions extends Abortable {
  /** Mode 0755 instead of 0644. @default false */
  readonly executable?: boolean
  /** Permission bits, 0–0o7777, set exactly. @default 0o644, or 0o755 with `executable` */
  readonly mode?: number
  /** When its content was last changed, in milliseconds since 1970; for a `hostPath`, `true` takes those of the host. @default now */
  readonly mtimeMs?: number | true
}

export interface DownloadOptions extends Abortable {
  /** Bytes that are taken at most; more is a FileError. @default the VM's memory */
  readonly maxBytes?: number
  /** Whether what is made on the host gets the times it has in the guest. @default false */
  readonly times?: boolean
}

export interface ListOptions extends Abortable {
  /** Levels: 1 lists the directory itself, 2 also what is in its directories; 1–64. @default 1 */
  readonly depth?: number
}

export interface StatOptions extends Abortable {
  /** Whether a symbolic link stands for what it points to. @default true */
  readonly followSymlinks?: boolean
}

export interface MakeDirOptions extends Abortable {
  /** Permission bits of a directory that is made. @default 0o755 */
  readonly mode?: number
  /** Whether parents are made too, and a directory that is there already is fine. @default true */
  readonly recursive?: boolean
}

export interface RenameOptions extends Abortable {
  /** Whether a file at the new place is replaced, at once and whole. @default true */
  readonly overwrite?: boolean
}

export interface RemoveOptions extends Abortable {
  /** Whether a directory goes with everything in it. @default false */
  readonly recursive?: boolean
}

export type FileOptions = Abortable

const bytes = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
const mode = z.number().int().min(0).max(0o7777)
const moment = z.number().min(0).max(8.64e15)
const abortable = { signal: signal.optional() }

/** The shapes of the options, one per method. */
const FILE_SCHEMAS = {
  read: z.strictObject({
    ...abortable,
    format: z.enum(['text', 'bytes', 'stream']).optional(),
    maxBytes: bytes.optional(),
  }),
  write: z.strictObject({
    ...abortable,
    executable: z.boolean().optional(),
    mode: mode.optional(),
    mtimeMs: z.union([moment, z.literal(true)]).optional(),
  }),
  download: z.strictObject({ ...abortable, maxBytes: bytes.optional(), times: z.boolean().optional() }),
  list: z.strictObject({ ...abortable, depth: z.number().int().min(1).max(64).optional() }),
  stat: z.strictObject({ ...abortable, followSymlinks: z.boolean().optional() }),
  makeDir: z.strictObject({ ...abortable, mode: mode.optional(), recursive: z.boolean().optional() }),
  rename: z.strictObject({ ...abortable, overwrite: z.boolean().optional() }),
  remove: z.strictObject({ ...abortable, recursive: z.boolean().optional() }),
  plain: z.strictObject(abortable),
} as const

export function checkFileOptions(method: keyof typeof FILE_SCHEMAS, options: object): void {
  parseOptions(FILE_SCHEMAS[method], options)
}

/** @throws InvalidInputError unless these are permission bits */
export function checkMode(value: unknown): number {
  const parsed = mode.safeParse(value)
  if (parsed.success) return parsed.data
  throw new InvalidInputError(`mode: expected permission bits, 0–0o7777, got ${String(value)}`, { field: 'mode' })
}
