import { createHash, type Hash } from 'node:crypto'
import { lstat, open, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { throwIfAborted } from '../base/index.ts'

/** Hex digits of a content key: 80 bits, which no two recipes of one machine will share by chance. */
const KEY_DIGITS = 20
/** Bytes read at once from a file for its digest. */
const DIGEST_CHUNK = 1024 * 1024

/** The key of a component: a digest over named inputs. Order of the names does not matter, every byte of the values does. */
export function contentKey(inputs: Readonly<Record<string, string>>): string {
  const hash = createHash('sha256')
  for (const name of Object.keys(inputs).toSorted()) {
    const value = inputs[name] ?? ''
    hash.update(`${name.length}:${name}=${Buffer.byteLength(value)}:${value};`)
  }
  return hash.digest('hex').slice(0, KEY_DIGITS)
}

/** SHA-256 of a file, in hex. */
export async function digestFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  await using file = await open(path)
  const buffer = Buffer.allocUnsafe(DIGEST_CHUNK)
  for (;;) {
    throwIfAborted(signal)
    const { bytesRead } = await file.read(buffer, 0, DIGEST_CHUNK)
    if (bytesRead === 0) break
    hash.update(buffer.subarray(0, bytesRead))
  }
  return hash.digest('hex')
}

export interface TreeDigest {
  /** SHA-256 over the sorted list of entries: path, type, executable bit, content or link target. */
  readonly digest: string
  /** Bytes of all regular files. */
  readonly size: number
  /** Number of regular files. */
  readonly files: number
}

/** Digest of a directory and all below it. Times and owners do not count. `skip` leaves out paths relative to the directory. */
export async function digestTree(
  directory: string,
  options: { readonly signal?: AbortSignal; readonly skip?: (path: string) => boolean } = {},
): Promise<TreeDigest> {
  const hash = createHash('sha256')
  const total = { size: 0, files: 0 }
  await addDirectory(hash, { root: directory, path: '', total, ...options })
  return { digest: hash.digest('hex'), ...total }
}

interface Walk {
  readonly root: string
  readonly path: string
  readonly total: { size: number; files: number }
  readonly signal?: AbortSignal
  readonly skip?: (path: string) => boolean
}

async function addDirectory(hash: Hash, walk: Walk): Promise<void> {
  for (const name of (await readdir(join(walk.root, walk.path))).toSorted(byCodePoint)) {
    throwIfAborted(walk.signal)
    const path = walk.path === '' ? name : `${walk.path}/${name}`
    if (walk.skip?.(path) === true) continue
    const full = join(walk.root, path)
    const status = await lstat(full)
    if (status.isDirectory()) {
      hash.update(`directory\0${path}\0`)
      await addDirectory(hash, { ...walk, path })
    } else if (status.isSymbolicLink()) {
      hash.update(`link\0${path}\0${await readlink(full)}\0`)
    } else if (status.isFile()) {
      const executable = (status.mode & 0o111) === 0 ? 'file' : 'program'
      hash.update(`${executable}\0${path}\0${await digestFile(full, walk.signal)}\0`)
      walk.total.size += status.size
      walk.total.files += 1
    } else {
      hash.update(`other\0${path}\0`)
    }
  }
}

// Array.sort without a comparison orders by UTF-16 code units on every locale; said openly.
function byCodePoint(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}
