import { posix } from 'node:path'
import { FileError } from '../../base/index.ts'
import { resolveGuestPath } from '../guest-path.ts'
import { type FileContent, resolveContent } from './content.ts'
import { download } from './download.ts'
import { type FileInfo, parseFileInfo, parseListing } from './file-info.ts'
import {
  checkFileOptions,
  checkMode,
  type DownloadOptions,
  type FileOptions,
  type ListOptions,
  type MakeDirOptions,
  type ReadOptions,
  type RemoveOptions,
  type RenameOptions,
  type StatOptions,
  type WriteOptions,
} from './file-options.ts'
import { askTool, type FileHost, type FileOperation, toolPath } from './file-tool.ts'
import type { TreeCopy } from './host-tree.ts'
import { type FileStream, readAll, readStream } from './read.ts'
import { writeContent } from './write.ts'

// ignoreBOM: a byte order mark is content like any other.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

const VERBS: Readonly<Record<FileOperation['name'], string>> = {
  read: 'read',
  write: 'write',
  stat: 'look at',
  list: 'list',
  mkdir: 'make',
  rename: 'rename',
  remove: 'remove',
  chmod: 'change the mode of',
  pack: 'read',
  unpack: 'write',
}

/**
 * The files of a sandbox, with the rights of its user (uid 1000). Relative paths, and `~`, are below /home/user. What the
 * file system refuses is a `FileError` with the errno; a path that no file can have is an `InvalidInputError`. Names
 * that are not UTF-8 have U+DC80–U+DCFF for their odd bytes, as in Python, and go both ways.
 */
export class SandboxFiles {
  readonly #host: FileHost
  readonly #maxBytes: number

  /** @param memoryMb of the VM: what its files can hold */
  constructor(host: FileHost, memoryMb: number) {
    this.#host = host
    this.#maxBytes = memoryMb * 1_048_576
  }

  /**
   * Reads a regular file.
   * @throws FileError: ENOENT, EISDIR, EACCES, EINVAL for a file that is not a regular one, EFBIG beyond `maxBytes`
   */
  async read(path: string, options?: ReadOptions<'text'>): Promise<string>
  async read(path: string, options: ReadOptions<'bytes'>): Promise<Uint8Array>
  async read(path: string, options: ReadOptions<'stream'>): Promise<FileStream>
  async read(path: string, options: ReadOptions = {}): Promise<string | Uint8Array | FileStream> {
    checkFileOptions('read', options)
    const { format = 'text', maxBytes, signal } = options
    const absolute = resolveGuestPath(path)
    const source = { path: absolute, maxBytes: maxBytes ?? (format === 'stream' ? Infinity : this.#maxBytes), signal }
    if (format === 'stream') return await readStream(this.#host, source)
    const bytes = await readAll(this.#host, source)
    return format === 'bytes' ? bytes : decoder.decode(bytes)
  }

  /**
   * Writes a file, making its parents. It appears whole, or not at all: whoever reads it meanwhile sees what was there
   * before. A symbolic link is followed. From a `hostPath` that is a directory the whole tree is written, into what is
   * there; its files keep their modes, links stay links.
   * @returns what is there now
   * @throws FileError: ENOSPC, EISDIR, EACCES …, also for the host's own file
   */
  async write(path: string, content: FileContent, options: WriteOptions = {}): Promise<FileInfo> {
    checkFileOptions('write', options)
    const absolute = resolveGuestPath(path)
    return await writeContent(this.#host, absolute, resolveContent(content, 'content'), options)
  }

  /**
   * Copies a file or a directory to the host. A file appears whole; a directory's place must be empty or not be there.
   * Links that lead out of the directory, and files of other kinds, are left out and told.
   * @throws FileError, also for the host's own file; EFBIG beyond `maxBytes`
   */
  async download(path: string, hostPath: string, options: DownloadOptions = {}): Promise<TreeCopy> {
    checkFileOptions('download', options)
    const absolute = resolveGuestPath(path)
    const info = await this.stat(absolute, { ...(options.signal === undefined ? {} : { signal: options.signal }) })
    return await download(this.#host, info, hostPath, { maxBytes: this.#maxBytes, ...options })
  }

  /**
   * Lists a directory, in byte order of the names; what is in its directories stands behind them. Links are not followed.
   * @throws FileError: ENOENT, ENOTDIR, EACCES
   */
  async list(path = '.', options: ListOptions = {}): Promise<FileInfo[]> {
    checkFileOptions('list', options)
    const { depth = 1, signal } = options
    const directory = resolveGuestPath(path)
    const text = await this.#ask('list', directory, { depth }, signal)
    return await parseListing(text, directory)
  }

  /** @throws FileError: ENOENT, ENOTDIR, EACCES */
  async stat(path: string, options: StatOptions = {}): Promise<FileInfo> {
    checkFileOptions('stat', options)
    const { followSymlinks: follow = true, signal } = options
    return await this.#info('stat', resolveGuestPath(path), { follow }, signal)
  }

  /** Whether there is something at the path; a link counts by what it points to. */
  async exists(path: string, options: FileOptions = {}): Promise<boolean> {
    checkFileOptions('plain', options)
    try {
      await this.#info('stat', resolveGuestPath(path), { follow: true }, options.signal)
      return true
    } catch (error) {
      const isAbsent = error instanceof FileError && ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(error.details.errno)
      if (isAbsent) return false
      throw error
    }
  }

  /** Makes a directory. @throws FileError: EEXIST, EACCES … */
  async makeDir(path: string, options: MakeDirOptions = {}): Promise<FileInfo> {
    checkFileOptions('makeDir', options)
    const { mode = 0o755, recursive = true, signal } = options
    return await this.#info('mkdir', resolveGuestPath(path), { mode, parents: recursive }, signal)
  }

  /** Gives a file or directory another path, making its parents. @throws FileError: ENOENT, EEXIST, EXDEV … */
  async rename(from: string, to: string, options: RenameOptions = {}): Promise<void> {
    checkFileOptions('rename', options)
    const { overwrite = true, signal } = options
    const [source, target] = [resolveGuestPath(from, 'from'), resolveGuestPath(to, 'to')]
    await askTool(this.#host, {
      name: 'rename',
      params: { from: toolPath(source), to: toolPath(target), replace: overwrite },
      path: source,
      doing: `rename ${source} to ${target}`,
      signal,
    })
  }

  /** Removes a file, a link, or a directory. @throws FileError: ENOENT, ENOTEMPTY unless `recursive`, EACCES */
  async remove(path: string, options: RemoveOptions = {}): Promise<void> {
    checkFileOptions('remove', options)
    const { recursive = false, signal } = options
    await this.#ask('remove', resolveGuestPath(path), { recursive }, signal)
  }

  /** Sets the permission bits. @param mode 0–0o7777 @throws FileError: ENOENT, EPERM for a file of somebody else */
  async chmod(path: string, mode: number, options: FileOptions = {}): Promise<FileInfo> {
    checkFileOptions('plain', options)
    return await this.#info('chmod', resolveGuestPath(path), { mode: checkMode(mode) }, options.signal)
  }

  async #info(
    name: FileOperation['name'],
    path: string,
    params: Readonly<Record<string, unknown>>,
    signal: AbortSignal | undefined,
  ): Promise<FileInfo> {
    return parseFileInfo(await this.#ask(name, path, params, signal), posix.sep)
  }

  async #ask(
    name: FileOperation['name'],
    path: string,
    params: Readonly<Record<string, unknown>>,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const operation = {
      name,
      params: { path: toolPath(path), ...params },
      path,
      doing: `${VERBS[name]} ${path}`,
      signal,
    }
    return await askTool(this.#host, operation)
  }
}
