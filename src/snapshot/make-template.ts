import { createHash } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { throwIfAborted } from '../base/index.ts'
import {
  allocatedBytesOf,
  fileIdentity,
  type HostPaths,
  readBootId,
  removeDirectory,
  type TemplatePaths,
  writeStamp,
} from '../host/index.ts'
import { digestMemory } from './memory-digest.ts'
import {
  filesToFill,
  makeWorkDirectory,
  sealFile,
  templateEntries,
  type TemplateFacts,
  type TemplateFiles,
} from './template-files.ts'
import { LAYOUT_FORMAT, type TemplateSpec } from './template-key.ts'
import { renderTemplateManifest, type TemplateManifest } from './template-manifest.ts'

export interface MakeTemplateRequest {
  readonly spec: TemplateSpec
  readonly key: string
  readonly make: (files: TemplateFiles) => Promise<TemplateFacts>
  readonly signal: AbortSignal
}

/** What `make` threw (its `cause`), apart from what went wrong around it. */
export class MakeError extends Error {}

/**
 * Makes a template in a work directory and publishes it: sealed, digested and stamped, the manifest written last, put in
 * its place by rename. Must be called under the key's lock. Whatever fails leaves nothing.
 */
export async function makeTemplate(paths: HostPaths, request: MakeTemplateRequest): Promise<TemplateManifest> {
  const { spec, key, make, signal } = request
  const work = await makeWorkDirectory(paths, key, ramBytes(spec))
  try {
    const facts = await callMake(make, filesToFill(work))
    throwIfAborted(signal)
    const manifest = await describe(work, request, facts)
    await writeFile(work.bootLog, facts.bootLog, { mode: 0o600 })
    await writeFile(work.manifest, renderTemplateManifest(manifest), { mode: 0o444, flush: true })
    throwIfAborted(signal)
    await templateEntries(paths).publish(key, work.directory)
    return manifest
  } finally {
    // After it was published there is nothing here any more.
    await removeDirectory(work.directory).catch(() => undefined)
  }
}

async function callMake(make: MakeTemplateRequest['make'], files: TemplateFiles): Promise<TemplateFacts> {
  try {
    return await make(files)
  } catch (error) {
    throw new MakeError('the builder failed', { cause: error })
  }
}

/** Seals what QEMU has written, digests it and stamps it. */
async function describe(
  work: TemplatePaths,
  request: MakeTemplateRequest,
  facts: TemplateFacts,
): Promise<TemplateManifest> {
  const { spec, key, signal } = request
  await sealFile(work.state)
  await sealFile(work.ram)
  const { size } = await stat(work.ram)
  if (size !== ramBytes(spec)) throw new Error(`the RAM file has ${size} bytes instead of ${ramBytes(spec)}`)
  const state = await readFile(work.state)
  if (state.length === 0) throw new Error('nothing was saved: the file of the state is empty')
  // Taken before the digest, as when it is checked.
  const identity = await fileIdentity(work.ram)
  const { sha256, chunks } = await digestMemory(work.ram, { signal })
  await writeStamp(work.stamp, { identity, sha256, bootId: await readBootId() })
  return {
    format: LAYOUT_FORMAT,
    key,
    spec: { ...spec, argv: [...spec.argv] },
    createdAt: new Date().toISOString(),
    qemuVersion: facts.qemuVersion,
    savedMs: facts.savedMs,
    ram: {
      size,
      allocated: await allocatedBytesOf(work.ram),
      sha256,
      chunks: chunks.map(([first, count]) => [first, count]),
    },
    state: { size: state.length, sha256: createHash('sha256').update(state).digest('hex') },
  }
}

function ramBytes(spec: TemplateSpec): number {
  return spec.memoryMb * 2 ** 20
}
