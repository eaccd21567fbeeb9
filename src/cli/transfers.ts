import { constants } from 'node:fs'
import { access, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, normalize, resolve } from 'node:path'
import { errnoOf, InvalidInputError } from '../base/index.ts'

/** A copy between this machine and a guest. */
export interface Transfer {
  readonly local: string
  readonly guest: string
}

/** What the errors of the file system mean to whoever wrote a command line. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'what stands before the last / is no directory',
  EACCES: 'permission denied',
  EINVAL: 'it is neither a file nor a directory',
  ENOTEMPTY: 'it is a directory that is not empty',
}

/** `LOCAL[:GUEST]`: the last colon splits; with nothing behind it, as without it, GUEST is left out. */
export function parseUpload(spec: string): Transfer {
  return uploadOf(`--upload ${spec}`, ...splitAtLastColon(spec))
}

/** `GUEST[:LOCAL]`: the last colon splits; with nothing behind it, as without it, LOCAL is left out. */
export function parseDownload(spec: string): Transfer {
  return downloadOf(`--download ${spec}`, ...splitAtLastColon(spec))
}

/**
 * @param label begins the messages of errors
 * @param guest empty: the name of `local`, in the home directory; with a slash at its end, a directory to put it into
 */
export function uploadOf(label: string, local: string, guest: string): Transfer {
  if (local === '') throw refuse(label, 'expected LOCAL, and perhaps GUEST')
  return { local, guest: placeOf(label, guest, basename(resolve(local))) }
}

/**
 * @param label begins the messages of errors
 * @param local empty: the name of `guest`, in the current directory; with a slash at its end, a directory to put it into
 */
export function downloadOf(label: string, guest: string, local: string): Transfer {
  if (guest === '') throw refuse(label, 'expected GUEST, and perhaps LOCAL')
  return { guest, local: placeOf(label, local, basename(normalize(guest))) }
}

/**
 * The `files` of the uploads a command line asks for.
 * @throws InvalidInputError for a local file that cannot be read, and for two with one place
 */
export async function resolveUploads(specs: readonly string[]): Promise<Record<string, { readonly hostPath: string }>> {
  const files = new Map<string, { readonly hostPath: string }>()
  for (const spec of specs) {
    const { local, guest } = parseUpload(spec)
    if (files.has(guest)) throw refuse(`--upload ${spec}`, `${guest} is the place of two uploads`)
    await checkUpload(`--upload ${spec}`, local)
    files.set(guest, { hostPath: local })
  }
  return Object.fromEntries(files)
}

/**
 * The `downloads` a command line asks for.
 * @throws InvalidInputError for a place that could not be written, and for two with one source or one place
 */
export async function resolveDownloads(specs: readonly string[]): Promise<Record<string, string>> {
  const downloads = new Map<string, string>()
  const places = new Set<string>()
  for (const spec of specs) {
    const { local, guest } = parseDownload(spec)
    const label = `--download ${spec}`
    if (downloads.has(guest)) throw refuse(label, `${guest} is asked for twice`)
    if (places.has(resolve(local))) throw refuse(label, `${local} is the place of two downloads`)
    await checkDownload(label, local)
    downloads.set(guest, local)
    places.add(resolve(local))
  }
  return Object.fromEntries(downloads)
}

/** @throws InvalidInputError unless there is a file or directory that can be read */
export async function checkUpload(label: string, local: string): Promise<void> {
  try {
    const facts = await stat(local)
    // Reading from a pipe or a device may never end, and cannot be cut short.
    if (!facts.isFile() && !facts.isDirectory()) throw Object.assign(new Error(), { code: 'EINVAL' })
    await access(local, constants.R_OK)
  } catch (error) {
    throw refuse(label, `cannot read ${local}: ${reasonOf(error)}`, error)
  }
}

/**
 * An existing file will be replaced, an empty directory filled.
 * @throws InvalidInputError when neither a file nor a directory could stand there
 */
export async function checkDownload(label: string, local: string): Promise<void> {
  const parent = dirname(resolve(local))
  try {
    if (!(await stat(parent)).isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' })
    await access(parent, constants.W_OK)
    if ((await entriesOf(local)) > 0) throw Object.assign(new Error(), { code: 'ENOTEMPTY' })
  } catch (error) {
    throw refuse(label, `cannot write ${local}: ${reasonOf(error)}`, error)
  }
}

/** How many there are in a directory; 0 for anything else, which may be replaced. */
async function entriesOf(path: string): Promise<number> {
  try {
    return (await readdir(path)).length
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return 0
    throw error
  }
}

function splitAtLastColon(spec: string): readonly [before: string, behind: string] {
  const colon = spec.lastIndexOf(':')
  return colon === -1 ? [spec, ''] : [spec.slice(0, colon), spec.slice(colon + 1)]
}

/** Where something called `name` goes that was asked for at `place`. */
function placeOf(label: string, place: string, name: string): string {
  if (place !== '' && !place.endsWith('/')) return place
  if (!['', '.', '..', '~', '/'].includes(name)) return join(place, name)
  throw refuse(label, 'what is copied has no name of its own: say where it goes')
}

function reasonOf(error: unknown): string {
  const code = errnoOf(error) ?? String(error)
  return REASONS[code] ?? code
}

function refuse(label: string, why: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError(`${label}: ${why}`, { field: 'files' }, cause)
}
