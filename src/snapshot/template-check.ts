import { createHash } from 'node:crypto'
import { lstat } from 'node:fs/promises'
import {
  allocatedBytesOf,
  checkEntry,
  type EntryProblem,
  fileIdentity,
  hasStamp,
  readBootId,
  readRegularFile,
  type TemplatePaths,
  writeStamp,
} from '../host/index.ts'
import { digestMemory } from './memory-digest.ts'
import { parseTemplateManifest, type TemplateManifest } from './template-manifest.ts'

export type TemplateVerdict =
  | { readonly kind: 'good'; readonly manifest: TemplateManifest; readonly digested: boolean }
  | EntryProblem

/**
 * Looks whether a template is whole and is the one of its key. Reads the manifest and the state; reads the RAM file
 * only when its stamp does not fit: after a restart of the host, or when somebody has touched, copied or replaced it.
 * @throws AbortedError, and nothing else
 */
export async function checkTemplate(paths: TemplatePaths, key: string, signal: AbortSignal): Promise<TemplateVerdict> {
  return await checkEntry(paths.directory, async (inode) => await checkFiles(paths, key, inode, signal))
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
