import { createHash } from 'node:crypto'
import { lstat, readFile } from 'node:fs/promises'
import { AbortedError, errnoOf } from '../base/index.ts'
import {
  allocatedBytesOf,
  directoryInode,
  fileIdentity,
  hasStamp,
  readBootId,
  type TemplatePaths,
  writeStamp,
} from '../host/index.ts'
import { digestMemory } from './memory-digest.ts'
import { parseTemplateManifest, type TemplateManifest } from './template-manifest.ts'

export type TemplateVerdict =
  | { readonly kind: 'good'; readonly manifest: TemplateManifest; readonly digested: boolean }
  /** There is none, or it was removed while it was looked at. */
  | { readonly kind: 'absent' }
  /** This process cannot look at it now; that says nothing about the template. */
  | { readonly kind: 'unknown'; readonly reason: string }
  | { readonly kind: 'damaged'; readonly reason: string; readonly inode: bigint }

/** The process or the host has run out of something; trying later may help. */
const PASSING_ERRORS: readonly string[] = ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR']

/**
 * Looks whether a template is whole and is the one of its key. Reads the manifest and the state; reads the RAM file
 * only when its stamp does not fit: after a restart of the host, or when somebody has touched, copied or replaced it.
 * @throws AbortedError, and nothing else
 */
export async function checkTemplate(paths: TemplatePaths, key: string, signal: AbortSignal): Promise<TemplateVerdict> {
  let inode: bigint | undefined
  try {
    inode = await directoryInode(paths.directory)
    if (inode === undefined) return { kind: 'absent' }
    return await checkFiles(paths, key, inode, signal)
  } catch (error) {
    if (error instanceof AbortedError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    if (inode === undefined || PASSING_ERRORS.includes(errnoOf(error) ?? '')) return { kind: 'unknown', reason }
    // Removed by another process in the meantime, and perhaps built anew: nothing is wrong with either.
    const now = await directoryInode(paths.directory).catch(() => undefined)
    return now === inode ? { kind: 'damaged', reason, inode } : { kind: 'absent' }
  }
}

async function checkFiles(
  paths: TemplatePaths,
  key: string,
  inode: bigint,
  signal: AbortSignal,
): Promise<TemplateVerdict> {
  const damaged = (reason: string): TemplateVerdict => ({ kind: 'damaged', reason, inode })
  // All at once: each is a trip through the thread pool, and what they read is small. The RAM file's identity is taken
  // before its digest: what is written to it in the meantime changes the identity, and the stamp does not fit.
  const [text, state, identity, { size }, bootId] = await Promise.all([
    readRegularFile(paths.manifest),
    readRegularFile(paths.state),
    fileIdentity(paths.ram),
    lstat(paths.ram),
    readBootId(),
  ])
  const parsed = parseTemplateManifest(text.toString(), key)
  if (!parsed.ok) return damaged(parsed.reason)
  const { manifest } = parsed
  if (state.length !== manifest.state.size) {
    return damaged(`its state has ${state.length} bytes instead of ${manifest.state.size}`)
  }
  if (createHash('sha256').update(state).digest('hex') !== manifest.state.sha256) {
    return damaged('its state has another digest')
  }
  if (size !== manifest.ram.size) return damaged(`its RAM has ${size} bytes instead of ${manifest.ram.size}`)
  const stamp = { identity, sha256: manifest.ram.sha256, bootId }
  if (await hasStamp(paths.stamp, stamp)) return { kind: 'good', manifest, digested: false }
  if ((await digestRam(paths.ram, manifest, signal)) !== manifest.ram.sha256) {
    return damaged('its RAM has another digest')
  }
  // Where it cannot be written (a read-only cache), the store remembers for as long as it lives.
  await writeStamp(paths.stamp, stamp).catch(() => undefined)
  return { kind: 'good', manifest, digested: true }
}

/** What lies outside the manifest's chunks was zero: not read again unless the file holds more blocks than it did. */
async function digestRam(path: string, manifest: TemplateManifest, signal: AbortSignal): Promise<string> {
  const sparse = (await allocatedBytesOf(path)) <= manifest.ram.allocated
  const { sha256 } = await digestMemory(path, sparse ? { signal, chunks: manifest.ram.chunks } : { signal })
  return sha256
}

/** @throws Error when it is not a regular file: reading a FIFO would wait for ever */
async function readRegularFile(path: string): Promise<Buffer> {
  if (!(await lstat(path)).isFile()) throw new Error(`${path} is not a regular file`)
  return await readFile(path)
}
