import { join } from 'node:path'
import { throwIfAborted } from '../base/index.ts'
import { digestFile, digestTree } from './content-key.ts'
import type { Image } from './image.ts'

/** One part of an image and whether its content is what the manifest says. */
export interface VerifiedPart {
  readonly name: string
  readonly path: string
  readonly ok: boolean
  readonly size: number
  /** What differs; undefined when the part is good. */
  readonly problem: string | undefined
}

export interface VerifyReport {
  readonly ok: boolean
  readonly parts: readonly VerifiedPart[]
}

/** Reads all of an image and compares digests. A damaged part is a result, not an exception. */
export async function verifyImage(image: Image, signal: AbortSignal): Promise<VerifyReport> {
  const { files, runtime } = image.manifest
  const parts: VerifiedPart[] = []
  for (const [name, file] of Object.entries(files)) {
    const path = join(image.directory, file.path)
    const found = await attempt(async () => await digestFile(path, signal), signal)
    parts.push({ name, path, size: file.size, ...compare(found, file.sha256) })
  }
  const path = join(image.directory, runtime.path)
  const found = await attempt(async () => (await digestTree(path, { signal })).digest, signal)
  parts.push({ name: 'runtime', path, size: runtime.size, ...compare(found, runtime.digest) })
  return { ok: parts.every((part) => part.ok), parts }
}

async function attempt(read: () => Promise<string>, signal: AbortSignal): Promise<string | Error> {
  try {
    return await read()
  } catch (error) {
    throwIfAborted(signal)
    return error instanceof Error ? error : new Error(String(error))
  }
}

function compare(found: string | Error, expected: string): { ok: boolean; problem: string | undefined } {
  if (found instanceof Error) return { ok: false, problem: `cannot be read: ${found.message}` }
  if (found === expected) return { ok: true, problem: undefined }
  return { ok: false, problem: `content differs: sha256 ${found} instead of ${expected}` }
}
