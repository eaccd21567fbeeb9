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

/**
 * `LOCAL[:GUEST]`: the last colon splits. Without GUEST, or with nothing behind the colon, it is LOCAL's name in the home
 * directory; a GUEST that ends with a slash is a directory to put it into.
 */
export function parseUpload(spec: string): Transfer {
  const [local, guest] = splitAtLastColon(spec)
  if (local === '') throw refuse('upload', spec, 'expected LOCAL[:GUEST]')
  return { local, guest: placeOf(guest, basename(resolve(local))) ?? fail('upload', spec, ':GUEST') }
}

/**
 * `GUEST[:LOCAL]`: the last colon splits. Without LOCAL, or with nothing behind the colon, it is GUEST's name in the
 * current directory; a LOCAL that ends with a slash is a directory to put it into.
 */
export function parseDownload(spec: string): Transfer {
  const [guest, local] = splitAtLastColon(spec)
  if (guest === '') throw refuse('download', spec, 'expected GUEST[:LOCAL]')
  return {
    guest,
    local: placeOf(local, basename(normalize(guest))) ?? fail('download', spec, ':LOCAL'),
  }
}

/**
 * The `files` of the uploads a command line asks for.
 * @throws InvalidInputError for a local file that cannot be read, and for two with one place
 */
export async function resolveUploads(specs: readonly string[]): Promise<Record<string, { readonly hostPath: string }>> {
  const files = new Map<string, { readonly hostPath: string }>()
  for (const spec of specs) {
    const { local, guest } = parseUpload(spec)
    if (files.has(guest)) throw refuse('upload', spec, `${guest} is the place of two uploads`)
    await checkReadable(local, spec)
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
    if (downloads.has(guest)) throw refuse('download', spec, `${guest} is asked for twice`)
    if (places.has(resolve(local))) throw refuse('download', spec, `${local} is the place of two downloads`)
    await checkWritable(local, spec)
    downloads.set(guest, local)
    places.add(resolve(local))
  }
  return Object.fromEntries(downloads)
}

async function checkReadable(local: string, spec: string): Promise<void> {
  try {
    const facts = await stat(local)
    // Reading from a pipe or a device may never end, and cannot be cut short.
    if (!facts.isFile() && !facts.isDirectory()) throw Object.assign(new Error(), { code: 'EINVAL' })
    await access(local, constants.R_OK)
  } catch (error) {
    throw refuse('upload', spec, `cannot read ${local}: ${reasonOf(error)}`, error)
  }
}

/** That a file, or a directory, could stand there: an existing file is replaced, an empty directory filled. */
async function checkWritable(local: string, spec: string): Promise<void> {
  const parent = dirname(resolve(local))
  try {
    if (!(await stat(parent)).isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' })
    await access(parent, constants.W_OK)
    if ((await entriesOf(local)) > 0) throw Object.assign(new Error(), { code: 'ENOTEMPTY' })
  } catch (error) {
    throw refuse('download', spec, `cannot write ${local}: ${reasonOf(error)}`, error)
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

/** Where something called `name` goes that was asked for at `place`; undefined when it has no name to go by. */
function placeOf(place: string, name: string): string | undefined {
  if (place !== '' && !place.endsWith('/')) return place
  return ['', '.', '..', '~', '/'].includes(name) ? undefined : join(place, name)
}

function fail(option: string, spec: string, wanted: string): never {
  throw refuse(option, spec, `what is copied has no name of its own: expected ${wanted}`)
}

function reasonOf(error: unknown): string {
  const code = errnoOf(error) ?? String(error)
  return REASONS[code] ?? code
}

function refuse(option: string, spec: string, why: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError(`--${option} ${spec}: ${why}`, { field: option }, cause)
}
