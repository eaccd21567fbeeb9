import { mkdir, statfs } from 'node:fs/promises'
import { DependencyError, errnoOf } from '../base/index.ts'

const MEGABYTE = 1024 * 1024
/** A file system with less than this free counts as full when a command failed on it. */
const FULL_BELOW = 32 * MEGABYTE

/** Throws DependencyError when the file system of `directory` has less than `needMb` free. Makes the directory if it is missing. */
export async function requireDiskSpace(directory: string, needMb: number): Promise<void> {
  await mkdir(directory, { recursive: true })
  const free = await freeBytes(directory)
  if (free < needMb * MEGABYTE) throw diskFull(directory, needMb, free)
}

/**
 * What to throw for a build that failed: a file system that ran full makes compilers, tar and apt fail in many ways,
 * so a failure with no space left becomes one typed error.
 */
export async function explainDiskFull(error: unknown, directory: string, needMb: number): Promise<unknown> {
  const free = await freeBytes(directory).catch(() => Number.POSITIVE_INFINITY)
  const saysSo = errnoOf(error) === 'ENOSPC' || /No space left on device/.test(String(error))
  return saysSo || free < FULL_BELOW ? diskFull(directory, needMb, free, error) : error
}

async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}

function diskFull(directory: string, needMb: number, free: number, cause?: unknown): DependencyError {
  const fix = `free at least ${needMb} MB there, or name another directory with EXEC_SANDBOX_CACHE_DIR`
  return new DependencyError(
    `Building the image needs about ${needMb} MB in ${directory}, which has ${Math.floor(free / MEGABYTE)} MB free: ${fix}`,
    { dependency: 'disk space', fix },
    cause,
  )
}
