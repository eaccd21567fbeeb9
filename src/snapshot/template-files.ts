import { type FileHandle, lstat, open, writeFile } from 'node:fs/promises'
import {
  EntryDirectory,
  type HostPaths,
  removeDirectory,
  templateLockFile,
  type TemplatePaths,
  templatePathsIn,
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

/** While QEMU writes: its owner alone. */
const WORK_MODE = 0o600

/** Published: whoever gets the file may read it, nobody writes it. */
const PUBLISHED_MODE = 0o444

/** The templates of a cache. */
export function templateEntries(paths: HostPaths): EntryDirectory {
  return new EntryDirectory(paths.templates, (key) => templateLockFile(paths, key))
}

/** A fresh directory to build the template of a key in, with its files. Its builder holds the key's lock. */
export async function makeWorkDirectory(paths: HostPaths, key: string, ramBytes: number): Promise<TemplatePaths> {
  const work = templatePathsIn(await templateEntries(paths).makeWork(key))
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

async function withFile(path: string, use: (file: FileHandle) => Promise<void>): Promise<void> {
  if (!(await lstat(path)).isFile()) throw new Error(`${path} is not a regular file`)
  const file = await open(path, 'r+')
  try {
    await use(file)
  } finally {
    await file.close()
  }
}
