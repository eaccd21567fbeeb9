import { errnoOf } from '../base/index.ts'

/** What is wrong with a store, as far as a user can do something about it. */
export const FAILURE_KINDS = [
  'unreachable',
  'slow',
  'denied',
  'misplaced',
  'failing',
  'lying',
  'local',
  'unexpected',
] as const
export type FailureKind = (typeof FAILURE_KINDS)[number]

/** What the one warning of each kind says, and what mends it. */
export const FAILURE_WORDS: Record<FailureKind, string> = {
  unreachable: 'the remote cache cannot be reached: check `remoteCache.endpoint` and the network',
  slow: 'the remote cache is too slow to be of use',
  denied:
    'the remote cache refuses these credentials: they need s3:GetObject, s3:PutObject and s3:ListBucket (without the last one, what is not there is refused, too)',
  misplaced: 'the remote cache has no such bucket in this region: check `remoteCache.bucket`, `region` and `endpoint`',
  failing: 'the remote cache fails',
  lying: 'the remote cache gave something else than what was stored',
  unexpected: 'the remote cache cannot be used',
  local: 'a layer of the remote cache could not be read or written on this host',
}

/** Something that a store did, or that kept us from it. Costs time, never a result. */
export class StoreFailure extends Error {
  readonly kind: FailureKind

  constructor(kind: FailureKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StoreFailure'
    this.kind = kind
  }
}

/** Errors of the local file system: those of sockets have others. */
const LOCAL_ERRNOS: readonly string[] = [
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'EACCES',
  'EPERM',
  'EIO',
  'EMFILE',
  'EEXIST',
  'ENOENT',
]

const MISPLACED: readonly string[] = [
  'NoSuchBucket',
  'PermanentRedirect',
  'TemporaryRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
]

/** What an error of the SDK, of a stream or of the file system says about the store. Pure; decides by names and numbers. */
export function storeFailure(error: unknown): StoreFailure {
  if (error instanceof StoreFailure) return error
  const name = error instanceof Error ? error.name : ''
  const message = (error instanceof Error ? error.message : String(error)).slice(0, 300)
  return new StoreFailure(kindOf(error, name), name === '' ? message : `${name}: ${message}`, { cause: error })
}

function kindOf(error: unknown, name: string): FailureKind {
  if (LOCAL_ERRNOS.includes(errnoOf(error) ?? '') && !isOfSocket(error)) return 'local'
  if (MISPLACED.includes(name)) return 'misplaced'
  if (name === 'CredentialsProviderError' || name === 'TokenProviderError') return 'denied'
  const status = statusOf(error)
  // Whoever answers slowly is found out by the transfer; the SDK's own time is that of the connection.
  if (status === undefined)
    return name === 'TimeoutError' || errnoOf(error) !== undefined ? 'unreachable' : 'unexpected'
  if (status === 401 || status === 403) return 'denied'
  if ((status >= 300 && status < 400) || status === 404) return 'misplaced'
  return status >= 400 ? 'failing' : 'lying'
}

function isOfSocket(error: unknown): boolean {
  const syscall: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'syscall') : undefined
  return syscall === 'connect' || syscall === 'getaddrinfo'
}

/** The HTTP status that the SDK notes on the errors of a response. */
function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const metadata: unknown = Reflect.get(error, '$metadata')
  if (typeof metadata !== 'object' || metadata === null) return undefined
  const status: unknown = Reflect.get(metadata, 'httpStatusCode')
  return typeof status === 'number' ? status : undefined
}
