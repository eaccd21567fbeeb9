import { constants } from 'node:fs'
import { chmod, lstat, mkdir, mkdtemp, open, readdir, readlink, rename, rm, symlink, utimes } from 'node:fs/promises'
import { dirname, join, posix, resolve } from 'node:path'
import { FileError } from '../../base/index.ts'
import { fileError } from './file-error.ts'
import { unreadable } from './file-info.ts'
import { encodeHeader, encodeLength, type TreeEntry, type TreeReader } from './tree-stream.ts'

/** What was copied. */
export interface TreeCopy {
  /** Files, directories and symbolic links, the root included. */
  readonly entries: number
  /** Bytes of the files. */
  readonly bytes: number
  /** What was not, relative to the root: other kinds of files, and links that lead out of the tree. At most 100. */
  readonly skipped: readonly string[]
}

/** As many as a tree may have; the whole list of what a download has made is kept until its end. */
const MAX_ENTRIES = 100_000
const MAX_SKIPPED = 100
/** PATH_MAX of linux/limits.h. */
const PATH_BYTES = 4_096
/** Bytes of all names and targets of links together: they are kept until the end, and no real tree has so many. */
const MAX_NAME_BYTES = 33_554_432

/** Bytes read of a file at a time, and gathered before they are sent. */
const BLOCK_BYTES = 262_144

const SEPARATOR = Buffer.from('/')
const ROOT = Buffer.alloc(0)

/** A directory of the host as records, gathered to blocks. Names stay bytes: they need not be UTF-8. */
export class TreeWriter {
  readonly #send: (block: Uint8Array) => Promise<boolean>
  readonly #root: string
  readonly #skipped: string[] = []
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  #entries = 0
  #bytes = 0
  #wanted = true

  /** @param send false when nobody wants more */
  constructor(root: string, send: (block: Uint8Array) => Promise<boolean>) {
    this.#root = root
    this.#send = send
  }

  async write(): Promise<TreeCopy> {
    const pending: Buffer[] = [ROOT]
    for (let path = pending.pop(); path !== undefined && this.#wanted; path = pending.pop()) {
      const children = await this.#entry(path)
      // The last one pushed comes next: a directory's content stands behind it, in order.
      for (const name of children.toReversed()) {
        pending.push(path.byteLength === 0 ? name : Buffer.concat([path, SEPARATOR, name]))
      }
    }
    await this.#put(encodeHeader({ type: 'end', entries: this.#entries }))
    await this.#flush()
    return { entries: this.#entries, bytes: this.#bytes, skipped: this.#skipped }
  }

  /** Writes one entry; gives the names in it when it is a directory. */
  async #entry(path: Buffer): Promise<Buffer[]> {
    const full = this.#full(path)
    const facts = await lstat(full)
    const { mtimeMs } = facts
    const common = { path: path.toString('base64'), mode: facts.mode & 0o7777, mtimeMs }
    if (facts.isDirectory()) {
      await this.#header({ type: 'directory', ...common })
      return (await readdir(full, { encoding: 'buffer' })).toSorted((left, right) => left.compare(right))
    }
    if (facts.isSymbolicLink()) {
      const target = (await readlink(full, { encoding: 'buffer' })).toString('base64')
      await this.#header({ type: 'symlink', ...common, target })
    } else if (facts.isFile()) {
      await this.#header({ type: 'file', ...common, sparse: facts.blocks * 512 < facts.size })
      await this.#content(full, facts.size)
    } else if (this.#skipped.length < MAX_SKIPPED) this.#skipped.push(path.toString())
    return []
  }

  async #header(entry: TreeEntry): Promise<void> {
    this.#entries += 1
    if (this.#entries > MAX_ENTRIES) throw tooMany(this.#root)
    await this.#put(encodeHeader(entry))
  }

  async #content(full: Buffer, size: number): Promise<void> {
    // Not a link or a fifo that has come into the file's place meanwhile.
    await using file = await open(full, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    let read = 0
    while (this.#wanted) {
      // A buffer of its own for each block: those that are gathered are still to be sent. The last read finds the end.
      const room = Math.min(BLOCK_BYTES, Math.max(1, size - read + 1))
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(room), 0, room)
      await this.#put(encodeLength(bytesRead))
      if (bytesRead === 0) return
      read += bytesRead
      this.#bytes += bytesRead
      await this.#put(buffer.subarray(0, bytesRead))
    }
  }

  async #put(bytes: Uint8Array): Promise<void> {
    this.#gathered.push(bytes)
    this.#gatheredBytes += bytes.byteLength
    if (this.#gatheredBytes >= BLOCK_BYTES) await this.#flush()
  }

  async #flush(): Promise<void> {
    const [block, ...more] = this.#gathered.splice(0)
    this.#gatheredBytes = 0
    if (block === undefined || !this.#wanted) return
    this.#wanted = await this.#send(more.length === 0 ? block : Buffer.concat([block, ...more]))
  }

  #full(path: Buffer): Buffer {
    return path.byteLength === 0 ? Buffer.from(this.#root) : Buffer.concat([Buffer.from(this.#root), SEPARATOR, path])
  }
}

export interface ReceiveOptions {
  /** Bytes of content that are taken at most. */
  readonly maxBytes: number
  /** Whether files get the times they have in the guest. */
  readonly times: boolean
  /** Called when all has come, before it is put in its place. */
  readonly confirm: () => Promise<void>
}

/**
 * Makes a directory of the host from the records of a guest. It is made beside its place, in a directory that nobody
 * else can enter, and put there when it is whole. The guest chooses names, but no name leads out: each is checked, each
 * parent is a directory made here, and links are made last.
 *
 * @param target must not exist, or be an empty directory
 */
export async function receiveTree(reader: TreeReader, target: string, options: ReceiveOptions): Promise<TreeCopy> {
  const place = resolve(target)
  const work = await mkdtemp(join(dirname(place), '.exec-sandbox-'))
  try {
    const root = join(work, 'tree')
    const copy = await new TreeReceiver(reader, root, options).receive()
    await reader.end()
    await options.confirm()
    await rename(root, place)
    return copy
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

class TreeReceiver {
  readonly #reader: TreeReader
  readonly #root: string
  readonly #options: ReceiveOptions
  /** By path as latin1, which keeps every byte apart. */
  readonly #directories = new Map<string, { readonly mode: number; readonly mtimeMs: number }>()
  readonly #links = new Map<string, Buffer>()
  /** Directories that could not be made here, and so what is in them. */
  readonly #leftOut = new Set<string>()
  readonly #skipped: string[] = []
  #entries = 0
  #nameBytes = 0
  #bytes = 0

  constructor(reader: TreeReader, root: string, options: ReceiveOptions) {
    this.#reader = reader
    this.#root = root
    this.#options = options
  }

  async receive(): Promise<TreeCopy> {
    for (;;) {
      const record = await this.#reader.header()
      if (record.type === 'end') {
        if (record.entries !== this.#entries) throw unreadable(this.#root)
        for (const { path, type } of record.skipped) this.#skip(`${Buffer.from(path, 'base64').toString()} (${type})`)
        break
      }
      this.#entries += 1
      if (this.#entries > MAX_ENTRIES) throw tooMany(this.#root)
      await this.#make(record)
    }
    await this.#finish()
    return { entries: this.#entries, bytes: this.#bytes, skipped: this.#skipped }
  }

  async #make(entry: TreeEntry): Promise<void> {
    const path = Buffer.from(entry.path, 'base64').toString('latin1')
    this.#nameBytes += entry.path.length + (entry.type === 'symlink' ? entry.target.length : 0)
    if (this.#nameBytes > MAX_NAME_BYTES) throw tooMany(this.#root)
    // The root comes first, and is a directory; everything else stands in a directory that has come.
    const isNew = !this.#directories.has(path) && !this.#links.has(path) && !this.#leftOut.has(path)
    const isPlaced =
      this.#entries === 1
        ? path === '' && entry.type === 'directory'
        : isSafe(path) && isNew && (this.#directories.has(parentOf(path)) || this.#leftOut.has(parentOf(path)))
    if (!isPlaced) throw unreadable(this.#root)
    // A path of the guest may be too long behind the one it gets here; the rest of the tree is none the worse for it.
    const full = this.#full(path)
    if (this.#leftOut.has(parentOf(path)) || full.byteLength >= PATH_BYTES) return await this.#leave(path, entry)
    if (entry.type === 'directory') {
      await mkdir(full, { mode: 0o700 })
      this.#directories.set(path, { mode: entry.mode, mtimeMs: entry.mtimeMs })
    } else if (entry.type === 'symlink') this.#links.set(path, Buffer.from(entry.target, 'base64'))
    else await this.#file(path, entry)
  }

  async #leave(path: string, entry: TreeEntry): Promise<void> {
    this.#skip(`${shown(path).slice(0, 200)}… (path too long)`)
    if (entry.type === 'directory') this.#leftOut.add(path)
    if (entry.type !== 'file') return
    for await (const piece of this.#reader.content()) this.#count(piece.byteLength)
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes > this.#options.maxBytes) throw fileError(`store ${this.#root}`, this.#root, 'EFBIG')
  }

  async #file(path: string, { mode, mtimeMs }: { readonly mode: number; readonly mtimeMs: number }): Promise<void> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    await using file = await open(this.#full(path), flags, mode & 0o777)
    for await (const piece of this.#reader.content()) {
      this.#count(piece.byteLength)
      for (let done = 0; done < piece.byteLength; ) done += (await file.write(piece, done)).bytesWritten
    }
    if (this.#options.times) await file.utimes(mtimeMs / 1000, mtimeMs / 1000)
  }

  /** Links, then what would have stood in the way of filling the directories, from the innermost out. */
  async #finish(): Promise<void> {
    for (const [path, target] of this.#links) {
      if (!staysInside(path, target.toString('latin1'))) this.#skip(`${shown(path)} (link that leads out)`)
      else if (target.byteLength >= PATH_BYTES) this.#skip(`${shown(path)} (link that is too long)`)
      else await symlink(target, this.#full(path))
    }
    const mask = 0o777 & ~process.umask()
    for (const [path, { mode, mtimeMs }] of [...this.#directories].toReversed()) {
      if (this.#options.times) await utimes(this.#full(path), mtimeMs / 1000, mtimeMs / 1000)
      // The owner keeps the rights to it: who asked for the copy must be able to remove it.
      await chmod(this.#full(path), (mode & mask) | 0o700)
    }
  }

  #skip(what: string): void {
    if (this.#skipped.length < MAX_SKIPPED) this.#skipped.push(what)
  }

  #full(path: string): Buffer {
    return Buffer.concat([Buffer.from(join(this.#root, '/')), Buffer.from(path, 'latin1')])
  }
}

function shown(path: string): string {
  return Buffer.from(path, 'latin1').toString()
}

/** A relative path that stays below, part by part. */
function isSafe(path: string): boolean {
  return path.length < 4_096 && path.split('/').every((name) => isSafeName(name))
}

function isSafeName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && name.length <= 255 && !name.includes('\0')
}

function parentOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
}

/**
 * Whether a link leads to somewhere in the tree, whatever other links of the tree its way leads over: it climbs no higher
 * than the root, and climbs only at its beginning, where its parents are directories and no links.
 */
function staysInside(path: string, target: string): boolean {
  if (target === '' || target.startsWith('/') || target.includes('\0')) return false
  const parts = target.split('/').filter((part) => part !== '' && part !== '.')
  const climbs = parts.findIndex((part) => part !== '..')
  const height = climbs === -1 ? parts.length : climbs
  if (parts.slice(height).includes('..')) return false
  const depth = posix.dirname(path) === '.' ? 0 : posix.dirname(path).split('/').length
  return height <= depth
}

function tooMany(root: string): FileError {
  return new FileError(`Cannot copy ${root}: expected at most ${MAX_ENTRIES} files (EOVERFLOW)`, {
    path: root,
    errno: 'EOVERFLOW',
  })
}
