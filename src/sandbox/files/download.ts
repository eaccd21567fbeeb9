import { randomBytes } from 'node:crypto'
import { lstat, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { errnoOf, InvalidInputError } from '../../base/index.ts'
import { fileError, hostFileError } from './file-error.ts'
import type { FileInfo } from './file-info.ts'
import type { DownloadOptions } from './file-options.ts'
import { type FileHost, toolPath, Transfer } from './file-tool.ts'
import { BlockWriter } from './host-file.ts'
import { receiveTree, type TreeCopy } from './host-tree.ts'
import { content } from './read.ts'
import { TreeReader } from './tree-stream.ts'

type Options = DownloadOptions & { readonly maxBytes: number }

/** Copies a file or directory of the guest to the host. */
export async function download(host: FileHost, info: FileInfo, hostPath: string, options: Options): Promise<TreeCopy> {
  if (typeof hostPath !== 'string' || hostPath === '' || hostPath.includes('\0')) {
    throw new InvalidInputError('hostPath: expected a path of the host', { field: 'hostPath' })
  }
  try {
    return info.type === 'directory'
      ? await downloadTree(host, info.path, hostPath, options)
      : await downloadFile(host, info, hostPath, options)
  } catch (error) {
    throw hostFileError(`write ${hostPath}`, hostPath, error)
  }
}

async function downloadFile(host: FileHost, info: FileInfo, hostPath: string, options: Options): Promise<TreeCopy> {
  const { maxBytes, times = false, signal } = options
  const place = resolve(hostPath)
  const there = await lstat(place).catch(() => undefined)
  // The rename would put a file in the place of a pipe or device; a directory it refuses itself.
  if (there !== undefined && !there.isFile() && !there.isSymbolicLink() && !there.isDirectory()) {
    throw fileError(`write ${hostPath}, which is no regular file`, hostPath, 'EINVAL')
  }
  // Beside its place, so that it gets there whole by a rename.
  const part = join(dirname(place), `.exec-sandbox-${randomBytes(6).toString('hex')}`)
  let bytes = 0
  try {
    await using file = await open(part, 'wx', info.mode & 0o777)
    const writer = new BlockWriter(file)
    for await (const piece of content(host, { path: info.path, maxBytes, signal })) {
      bytes += piece.byteLength
      await writer.write(piece)
    }
    await writer.finish()
    if (times) await file.utimes(info.mtimeMs / 1000, info.mtimeMs / 1000)
    await rename(part, place)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
  return { entries: 1, bytes, skipped: [] }
}

async function downloadTree(host: FileHost, path: string, hostPath: string, options: Options): Promise<TreeCopy> {
  const { maxBytes, times = false, signal } = options
  if (await isInTheWay(hostPath)) throw fileError(`write ${hostPath}`, hostPath, 'ENOTEMPTY')
  const doing = `read ${path}`
  const operation = { name: 'pack', params: { path: toolPath(path) }, path, doing, signal } as const
  const transfer = await Transfer.open(host, operation, { waitsForTurn: true })
  let whole = false
  try {
    transfer.end()
    const reader = new TreeReader(async () => await transfer.read(), path)
    // The tool's own word on whether it went well counts before the tree is put in its place.
    const copy = await receiveTree(reader, hostPath, { maxBytes, times, confirm: async () => await transfer.finish() })
    whole = true
    return copy
  } finally {
    if (!whole) transfer.abandon()
  }
}

/** Whether there is something at the place that a directory cannot be moved onto. */
async function isInTheWay(place: string): Promise<boolean> {
  try {
    return (await readdir(place)).length > 0
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}
