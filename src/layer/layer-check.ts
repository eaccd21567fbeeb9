import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { throwIfAborted } from '../base/index.ts'
import {
  checkEntry,
  type EntryProblem,
  fileIdentity,
  hasStamp,
  type LayerPaths,
  readBootId,
  readRegularFile,
  writeStamp,
} from '../host/index.ts'
import { type LayerManifest, parseLayerManifest } from './layer-manifest.ts'

export type LayerVerdict =
  | { readonly kind: 'good'; readonly manifest: LayerManifest; readonly identity: string }
  | EntryProblem

/**
 * Looks whether a layer is whole and is the one of its key. Reads the disk only when its stamp does not fit: after a restart of
 * the host, or when somebody has touched, copied or replaced it.
 * @throws AbortedError, and nothing else
 */
export async function checkLayer(paths: LayerPaths, key: string, signal: AbortSignal): Promise<LayerVerdict> {
  return await checkEntry(paths.directory, async (inode) => await checkFiles(paths, key, inode, signal))
}

async function checkFiles(paths: LayerPaths, key: string, inode: bigint, signal: AbortSignal): Promise<LayerVerdict> {
  const damaged = (reason: string): LayerVerdict => ({ kind: 'damaged', reason, inode })
  // Its identity is taken before it is digested: what is written to it meanwhile changes it, and the stamp does not fit.
  const [text, identity, { size }, bootId] = await Promise.all([
    readRegularFile(paths.manifest),
    fileIdentity(paths.disk),
    lstat(paths.disk),
    readBootId(),
  ])
  const parsed = parseLayerManifest(text.toString(), key)
  if (!parsed.ok) return damaged(parsed.reason)
  const { manifest } = parsed
  if (size !== manifest.disk.size) return damaged(`its disk has ${size} bytes instead of ${manifest.disk.size}`)
  const stamp = { identity, sha256: manifest.disk.sha256, bootId }
  if (await hasStamp(paths.stamp, stamp)) return { kind: 'good', manifest, identity }
  if ((await digestDisk(paths.disk, signal)) !== manifest.disk.sha256) return damaged('its disk has another digest')
  // Where it cannot be written (a read-only cache), the store remembers for as long as it lives.
  await writeStamp(paths.stamp, stamp).catch(() => undefined)
  return { kind: 'good', manifest, identity }
}

/** Bytes read at a time. */
const CHUNK_BYTES = 1_048_576

/** SHA-256 of a file. @throws AbortedError */
export async function digestDisk(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  const chunks: AsyncIterable<Buffer> = createReadStream(path, { highWaterMark: CHUNK_BYTES })
  for await (const chunk of chunks) {
    throwIfAborted(signal)
    hash.update(chunk)
  }
  return hash.digest('hex')
}
