import { lstat, readFile } from 'node:fs/promises'
import { allocatedBytes, type EvictionCandidate, type HostPaths, templatePaths } from '../host/index.ts'
import { templateEntries } from './template-files.ts'
import { parseTemplateManifest, type TemplateManifest } from './template-manifest.ts'

/** A template of the cache as seen from outside: nothing of it was digested. */
export interface TemplateSummary extends EvictionCandidate {
  readonly directory: string
  /** Undefined when it cannot be read; `problem` then says why, and the template is useless. */
  readonly manifest: TemplateManifest | undefined
  readonly problem: string | undefined
}

/** All templates of the cache, the one used last first. */
export async function listTemplates(paths: HostPaths): Promise<readonly TemplateSummary[]> {
  const keys = await templateEntries(paths).keys()
  const found = await Promise.all(keys.map(async (key) => await summarize(paths, key)))
  return found
    .filter((summary) => summary !== undefined)
    .toSorted((left, right) => right.lastUsedAt - left.lastUsedAt || (left.key < right.key ? -1 : 1))
}

async function summarize(paths: HostPaths, key: string): Promise<TemplateSummary | undefined> {
  const { directory, manifest: file } = templatePaths(paths, key)
  const status = await lstat(file).catch(() => lstat(directory).catch(() => undefined))
  // Removed by another process since the directory was read.
  if (status === undefined) return undefined
  const parsed = await readFile(file, 'utf8').then(
    (text) => parseTemplateManifest(text, key),
    (error: unknown) => ({ ok: false, reason: error instanceof Error ? error.message : String(error) }) as const,
  )
  return {
    key,
    directory,
    bytes: await allocatedBytes(directory),
    // A time to come, after the clock was set back, would keep a template from ever being evicted.
    lastUsedAt: Math.min(status.mtimeMs, Date.now()),
    useless: !parsed.ok,
    manifest: parsed.ok ? parsed.manifest : undefined,
    problem: parsed.ok ? undefined : parsed.reason,
  }
}
