import { getSystemErrorMap } from 'node:util'
import { z } from 'zod'
import { errnoOf, FileError } from '../../base/index.ts'
import { RequestRefusedError } from '../../channel/index.ts'
import { parseJson } from './file-info.ts'

/** What the guest's file tool says when it fails (docs/file-tool.md). Hostile text. */
const complaint = z.object({ errno: z.string().regex(/^E[A-Z0-9]{1,30}$/) })

const MEANINGS: ReadonlyMap<string, string> = new Map(getSystemErrorMap().values())

/** What a name means to whoever only wants to store a file. */
const SAME_AS: Readonly<Record<string, string>> = { EDQUOT: 'ENOSPC' }

/** @param doing completes the sentence "Cannot …", e.g. `read /home/user/a` */
export function fileError(doing: string, path: string, errno: string, cause?: unknown): FileError {
  const name = SAME_AS[errno] ?? errno
  return new FileError(`Cannot ${doing}: ${MEANINGS.get(name) ?? 'it failed'} (${name})`, { path, errno: name }, cause)
}

/** The error of a file tool that ended with something else than success. */
export function toolError(
  doing: string,
  path: string,
  end: { readonly exitCode: number; readonly reason: string; readonly stderr: string },
): FileError {
  if (end.reason === 'memory') return fileError(doing, path, 'ENOMEM')
  if (end.reason === 'timeout') return fileError(doing, path, 'ETIMEDOUT')
  const said = complaint.safeParse(parseJson(end.stderr))
  if (end.reason === 'exit' && said.success) return fileError(doing, path, said.data.errno)
  const how = end.reason === 'signal' ? `was ended by signal ${end.exitCode - 128}` : `ended with ${end.exitCode}`
  return new FileError(`Cannot ${doing}: the guest's file tool ${how} (EIO)`, { path, errno: 'EIO' })
}

/** The guest had no room for the process of its file tool. */
export function refusalError(doing: string, path: string, error: unknown): FileError | undefined {
  const isFull = error instanceof RequestRefusedError && error.refusal === 'spawn'
  return isFull ? fileError(doing, path, 'EAGAIN', error) : undefined
}

/** The error of a file of the host. */
export function hostFileError(doing: string, path: string, error: unknown): unknown {
  const errno = errnoOf(error)
  return errno === undefined || !MEANINGS.has(errno) ? error : fileError(doing, path, errno, error)
}
