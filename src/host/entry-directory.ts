import { randomBytes } from 'node:crypto'
import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../base/index.ts'
import { FileLock } from './file-lock.ts'
import { parseEntryName, workEntryName } from './paths.ts'

/** Of directories that only this user (for root: only root) may look into. The jail binds the files in them. */
const DIRECTORY_MODE = 0o700

/**
 * A directory of the cache whose entries are directories, each named by the key of its content. An entry is made under
 * another name by whoever holds the key's lock, put in its place by rename, and never written again; so a reader sees all of
 * one or nothing, and what a dead builder has left can be told from what a living one is at.
 */
export class EntryDirectory {
  readonly directory: string
  readonly #lockFileOf: (key: string) => string

  /** @param lockFileOf the lock that the builder of a key holds; keys may share one */
  constructor(directory: string, lockFileOf: (key: string) => string) {
    this.directory = directory
    this.#lockFileOf = lockFileOf
  }

  /** Makes the directory itself if it is missing. */
  async make(): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: DIRECTORY_MODE })
  }

  /** A fresh directory to build an entry in. Its builder holds the key's lock, so that no sweep removes it. */
  async makeWork(key: string): Promise<string> {
    const work = this.#workOf(key)
    await mkdir(work, { mode: DIRECTORY_MODE })
    return work
  }

  /** Puts a finished work directory in the place of its key, whatever stands there. */
  async publish(key: string, work: string): Promise<void> {
    await this.#moveAwayAndRemove(key)
    await rename(work, this.#entryOf(key))
  }

  /**
   * Removes an entry: at once for all who look, its bytes after that. Who has a file of it open keeps that.
   * @param inode removes only the directory with this inode: another process may have built the entry anew
   * @returns bytes that it took; undefined when there was none
   * @throws the system's error when it cannot be moved away
   */
  async remove(key: string, inode?: bigint): Promise<number | undefined> {
    const directory = this.#entryOf(key)
    if (inode !== undefined && (await directoryInode(directory)) !== inode) return undefined
    const bytes = await allocatedBytes(directory)
    return (await this.#moveAwayAndRemove(key)) ? bytes : undefined
  }

  /** Keys of the published entries; none when the directory is not there. */
  async keys(): Promise<readonly string[]> {
    const entries = (await namesIn(this.directory)).map(parseEntryName)
    return entries.flatMap((entry) => (entry?.kind === 'published' ? [entry.key] : []))
  }

  /**
   * Removes what builders that died have left. A directory whose key is locked belongs to a builder that lives.
   * @param ownKey a key whose lock the caller holds and does not build under yet: what stands there is dead, too
   * @returns how many directories that were, and their bytes
   */
  async sweep(ownKey?: string): Promise<{ readonly directories: number; readonly bytes: number }> {
    const ownLock = ownKey === undefined ? undefined : this.#lockFileOf(ownKey)
    const swept = { directories: 0, bytes: 0 }
    for (const name of await namesIn(this.directory)) {
      const entry = parseEntryName(name)
      if (entry?.kind !== 'work') continue
      const lockPath = this.#lockFileOf(entry.key)
      await using lock = lockPath === ownLock ? undefined : await FileLock.tryAcquire(lockPath)
      if (lock === undefined && lockPath !== ownLock) continue
      const directory = join(this.directory, name)
      swept.bytes += await allocatedBytes(directory)
      swept.directories += 1
      await removeDirectory(directory)
    }
    return swept
  }

  async #moveAwayAndRemove(key: string): Promise<boolean> {
    const away = this.#workOf(key)
    try {
      await rename(this.#entryOf(key), away)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false
      throw error
    }
    // It is gone for everybody already. What cannot be deleted now, a sweep deletes.
    await removeDirectory(away).catch(() => undefined)
    return true
  }

  #entryOf(key: string): string {
    return join(this.directory, key)
  }

  #workOf(key: string): string {
    return join(this.directory, workEntryName(key, randomBytes(6).toString('hex')))
  }
}

/** Removes a directory with all in it. Others may be removing it at the same time. */
export async function removeDirectory(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true, maxRetries: 3 })
}

/** The directory's inode, undefined when there is none. */
export async function directoryInode(directory: string): Promise<bigint | undefined> {
  try {
    return (await lstat(directory, { bigint: true })).ino
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Bytes that the file system gave to all files of a directory; 0 for one that is not there. */
export async function allocatedBytes(directory: string): Promise<number> {
  const names = await readdir(directory).catch(() => [])
  const sizes = await Promise.all(names.map(async (name) => await allocatedBytesOf(join(directory, name))))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Bytes that the file system gave to a file; 0 for one that is not there. */
export async function allocatedBytesOf(path: string): Promise<number> {
  return await lstat(path).then(
    // POSIX counts `st_blocks` in units of 512 bytes here, whatever the file system's own blocks are.
    ({ blocks }) => blocks * 512,
    () => 0,
  )
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
