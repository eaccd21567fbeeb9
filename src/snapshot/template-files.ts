import { randomBytes } from 'node:crypto'
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../base/index.ts'
import {
  FileLock,
  type HostPaths,
  parseTemplateName,
  templateLockFile,
  type TemplatePaths,
  templatePaths,
  templateWorkPaths,
} from '../host/index.ts'

/** Where a builder puts a template: `ram` exists as a sparse file of its full size, `state` as an empty one. */
export interface TemplateFiles {
  readonly ram: string
  readonly state: string
}

/** What a builder knows of the template that it made. */
export interface TemplateFacts {
  readonly bootLog: string
  readonly qemuVersion: string
  readonly savedMs: number
}

/** Of directories that only this user (for root: only root) may look into. The jail binds the files themselves. */
const DIRECTORY_MODE = 0o700

/** While QEMU writes: its owner alone. */
const WORK_MODE = 0o600

/** Published: whoever gets the file may read it, nobody writes it. */
const PUBLISHED_MODE = 0o444

/** The directory of templates, made if it is missing. */
export async function makeTemplatesDirectory(paths: HostPaths): Promise<void> {
  await mkdir(paths.templates, { recursive: true, mode: DIRECTORY_MODE })
}

/** A fresh directory to build the template of a key in. Its builder holds the key's lock, so that no sweep removes it. */
export async function makeWorkDirectory(paths: HostPaths, key: string, ramBytes: number): Promise<TemplatePaths> {
  const work = templateWorkPaths(paths, key, uniqueName())
  await mkdir(work.directory, { mode: DIRECTORY_MODE })
  try {
    await writeFile(work.state, '', { mode: WORK_MODE })
    const ram = await open(work.ram, 'wx', WORK_MODE)
    try {
      await ram.truncate(ramBytes)
    } finally {
      await ram.close()
    }
  } catch (error) {
    await removeDirectory(work.directory)
    throw error
  }
  return work
}

/** The files of a work directory as its builder gets them. */
export function filesToFill(work: TemplatePaths): TemplateFiles {
  const { ram, state } = work
  return { ram, state }
}

/** Takes a file back from QEMU's uid, on the disk and never to be written again. @throws Error when it is not a regular file */
export async function sealFile(path: string): Promise<void> {
  await withFile(path, async (file) => {
    await file.chown(process.geteuid?.() ?? 0, process.getegid?.() ?? 0)
    await file.chmod(PUBLISHED_MODE)
    await file.datasync()
  })
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

/** Puts a finished work directory in the place of its key, whatever stands there. The manifest must be written. */
export async function publishDirectory(paths: HostPaths, key: string, work: TemplatePaths): Promise<TemplatePaths> {
  const published = templatePaths(paths, key)
  await moveAwayAndRemove(paths, key)
  await rename(work.directory, published.directory)
  return published
}

/**
 * Removes the template of a key: at once for all who look, its bytes after that. VMs that have mapped its memory keep it.
 * @param inode removes only the directory with this inode: another process may have built the template anew
 * @returns bytes that it took; undefined when there was none
 * @throws the system's error when it cannot be moved away
 */
export async function removeTemplate(paths: HostPaths, key: string, inode?: bigint): Promise<number | undefined> {
  const { directory } = templatePaths(paths, key)
  if (inode !== undefined && (await directoryInode(directory)) !== inode) return undefined
  const bytes = await allocatedBytes(directory)
  return (await moveAwayAndRemove(paths, key)) ? bytes : undefined
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

/** Names of the published templates; none when the directory is not there. */
export async function listTemplateKeys(paths: HostPaths): Promise<readonly string[]> {
  const entries = (await namesIn(paths.templates)).map(parseTemplateName)
  return entries.flatMap((entry) => (entry?.kind === 'template' ? [entry.key] : []))
}

/**
 * Removes what builders that died have left. A directory whose key is locked belongs to a builder that lives.
 * @param ownKey a key whose lock the caller holds and does not build under yet: what stands there is dead, too
 * @returns how many directories that were, and their bytes
 */
export async function sweepWorkDirectories(
  paths: HostPaths,
  ownKey?: string,
): Promise<{ readonly directories: number; readonly bytes: number }> {
  const ownLock = ownKey === undefined ? undefined : templateLockFile(paths, ownKey)
  const swept = { directories: 0, bytes: 0 }
  for (const name of await namesIn(paths.templates)) {
    const entry = parseTemplateName(name)
    if (entry?.kind !== 'work') continue
    const lockPath = templateLockFile(paths, entry.key)
    await using lock = lockPath === ownLock ? undefined : await FileLock.tryAcquire(lockPath)
    if (lock === undefined && lockPath !== ownLock) continue
    const directory = join(paths.templates, name)
    swept.bytes += await allocatedBytes(directory)
    swept.directories += 1
    await removeDirectory(directory)
  }
  return swept
}

/** Removes a directory with all in it. Others may be removing it at the same time. */
export async function removeDirectory(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true, maxRetries: 3 })
}

async function moveAwayAndRemove(paths: HostPaths, key: string): Promise<boolean> {
  const away = templateWorkPaths(paths, key, uniqueName()).directory
  try {
    await rename(templatePaths(paths, key).directory, away)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
  // It is gone for everybody already. What cannot be deleted now, a sweep deletes.
  await removeDirectory(away).catch(() => undefined)
  return true
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

async function withFile(path: string, use: (file: FileHandle) => Promise<void>): Promise<void> {
  if (!(await lstat(path)).isFile()) throw new Error(`${path} is not a regular file`)
  const file = await open(path, 'r+')
  try {
    await use(file)
  } finally {
    await file.close()
  }
}

function uniqueName(): string {
  return randomBytes(6).toString('hex')
}
