import { chmod, lstat, open } from 'node:fs/promises'
import { PackageError } from '../base/index.ts'
import { fileIdentity, type LayerPaths, readBootId, writeStamp } from '../host/index.ts'
import { digestDisk } from './layer-check.ts'

/** Published: whoever gets the file may read it, nobody writes it. */
export const PUBLISHED_MODE = 0o444

/**
 * Makes the disk of a layer final, on the disk of the host, digests and stamps it.
 * @throws PackageError when it is empty · the system's error · AbortedError
 */
export async function sealDisk(
  files: LayerPaths,
  signal: AbortSignal,
): Promise<{ readonly size: number; readonly sha256: string }> {
  await chmod(files.disk, PUBLISHED_MODE)
  const file = await open(files.disk, 'r')
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
  const { size } = await lstat(files.disk)
  if (size === 0) throw new PackageError('The installation gave an empty disk', {}, { retryable: false })
  const identity = await fileIdentity(files.disk)
  const sha256 = await digestDisk(files.disk, signal)
  await writeStamp(files.stamp, { identity, sha256, bootId: await readBootId() })
  return { size, sha256 }
}
