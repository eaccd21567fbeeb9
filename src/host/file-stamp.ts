import { lstat, readFile } from 'node:fs/promises'
import { writeFileAtomic } from './atomic-file.ts'

/** Says that a file was digested in full and found good, so that it need not be read again. */
export interface FileStamp {
  /** `fileIdentity` of the file, taken before it was digested. */
  readonly identity: string
  /** The digest that it was found to have. */
  readonly sha256: string
  /** The boot of the host: after a crash of the host the file may hold less than was written to it. */
  readonly bootId: string
}

/**
 * What changes whenever somebody writes to the file, replaces or copies it: inode, size, times of modification and of
 * change in nanoseconds. The time of change cannot be set back (utimensat(2) sets it to now).
 * @throws Error when it is not a regular file; the system's own error when it is not there
 */
export async function fileIdentity(path: string): Promise<string> {
  const status = await lstat(path, { bigint: true })
  if (!status.isFile()) throw new Error(`${path} is not a regular file`)
  return [status.ino, status.size, status.mtimeNs, status.ctimeNs].join(':')
}

/** Whether the file holds this very stamp. Whatever else stands there, the file is then digested. */
export async function hasStamp(path: string, stamp: FileStamp): Promise<boolean> {
  return await readFile(path, 'utf8').then(
    (text) => text === renderStamp(stamp),
    () => false,
  )
}

export async function writeStamp(path: string, stamp: FileStamp): Promise<void> {
  await writeFileAtomic(path, renderStamp(stamp), { mode: 0o444 })
}

function renderStamp({ identity, sha256, bootId }: FileStamp): string {
  return `${JSON.stringify({ identity, sha256, bootId })}\n`
}
