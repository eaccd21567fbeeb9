import { z } from 'zod'

/** Where layers of packages are shared with other hosts: a bucket of S3 or of a store that speaks its protocol. */
export interface RemoteCacheOptions {
  /** Name of the bucket, which must exist. */
  readonly bucket: string
  /** What all object keys begin with: `team/ci` puts them below `team/ci/`. @default '' */
  readonly prefix?: string
  /** @default what the AWS configuration names; with `endpoint` and no such configuration 'us-east-1' */
  readonly region?: string
  /** Base URL of the store, `https://minio.example:9000`. @default the one of AWS S3 for the region */
  readonly endpoint?: string
  /** `true` puts the bucket into the path, `false` into the host name. @default true with `endpoint`, else false */
  readonly forcePathStyle?: boolean
}

/** An object key may have 1024 bytes; what we put behind the prefix takes less than 200. */
const LONGEST_PREFIX = 512

/** The schema of `RemoteCacheOptions`, for the options that they are a part of. */
export const remoteCacheOptionsSchema = z.strictObject({
  // Rules of S3: "Bucket naming rules" of its user guide.
  bucket: z
    .string()
    .regex(/^(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'expected a bucket name: 3–63 of a–z, 0–9, "." and "-"'),
  prefix: z
    .string()
    .max(LONGEST_PREFIX, `expected at most ${LONGEST_PREFIX} characters`)
    .refine(isPrefix, 'expected names of A–Z, a–z, 0–9 and ! - _ . * \' ( ), separated by "/"')
    .optional(),
  region: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected a region such as "eu-central-1"')
    .optional(),
  endpoint: z.string().refine(isEndpoint, 'expected an http or https URL without user, query and fragment').optional(),
  forcePathStyle: z.boolean('expected true or false').optional(),
})

// The characters that S3's user guide calls safe in keys: no store and no URL treats one of them in a way of its own.
function isPrefix(prefix: string): boolean {
  const names = prefix.replace(/^\/|\/$/g, '').split('/')
  if (names.length === 1 && names[0] === '') return true
  return names.every((name) => /^[\w!.*'()-]+$/.test(name) && name !== '.' && name !== '..')
}

function isEndpoint(endpoint: string): boolean {
  if (!URL.canParse(endpoint)) return false
  const { protocol, username, password, search, hash } = new URL(endpoint)
  return ['http:', 'https:'].includes(protocol) && [username, password, search, hash].every((part) => part === '')
}
