import { lstat, readFile } from 'node:fs/promises'
import { AbortedError, errnoOf } from '../base/index.ts'
import { directoryInode } from './entry-directory.ts'

/** What an entry of the cache is, when it is not a good one. */
export type EntryProblem =
  /** There is none, or it was removed while it was looked at. */
  | { readonly kind: 'absent' }
  /** This process cannot look at it now; that says nothing about the entry. */
  | { readonly kind: 'unknown'; readonly reason: string }
  | { readonly kind: 'damaged'; readonly reason: string; readonly inode: bigint }

/** The process or the host has run out of something; trying later may help. */
const PASSING_ERRORS: readonly string[] = ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR']

/**
 * Has an entry of the cache looked at, and says what it means if that fails.
 * @param check gets the inode of the entry's directory
 * @throws AbortedError, and nothing else
 */
export async function checkEntry<T>(
  directory: string,
  check: (inode: bigint) => Promise<T>,
): Promise<T | EntryProblem> {
  let inode: bigint | undefined
  try {
    inode = await directoryInode(directory)
    return inode === undefined ? { kind: 'absent' } : await check(inode)
  } catch (error) {
    if (error instanceof AbortedError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    if (inode === undefined || PASSING_ERRORS.includes(errnoOf(error) ?? '')) return { kind: 'unknown', reason }
    // Removed by another process in the meantime, and perhaps built anew: nothing is wrong with either.
    const now = await directoryInode(directory).catch(() => undefined)
    return now === inode ? { kind: 'damaged', reason, inode } : { kind: 'absent' }
  }
}

/** @throws Error when it is not a regular file: reading a FIFO would wait for ever */
export async function readRegularFile(path: string): Promise<Buffer> {
  if (!(await lstat(path)).isFile()) throw new Error(`${path} is not a regular file`)
  return await readFile(path)
}
