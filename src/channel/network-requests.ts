import { z } from 'zod'

/** What the guest asks for when its programs use the network (docs/protocol.md, "Methods that the guest calls"). */

const PORT = z.int().min(1).max(65_535)

/** One number of a dotted quad, without leading zeros: `010` is 8 to some readers and 10 to others. */
const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`)

/** Labels of 1–63 of the characters that host names and service names have, without a dot at the end. */
const NAME = /^[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*$/
const NAME_CHARACTERS = 253

export const connectParams = z.object({ address: z.string().max(15).regex(IPV4), port: PORT })
export type ConnectParams = z.infer<typeof connectParams>

export const resolveParams = z.object({
  name: z.string().max(NAME_CHARACTERS).regex(NAME),
  type: z.enum(['A', 'AAAA']),
})
export type ResolveParams = z.infer<typeof resolveParams>

/** Why a connection was not made or has ended. */
export const CONNECT_ERROR_CODES = [
  'refused',
  'connection-refused',
  'unreachable',
  'timed-out',
  'reset',
  'busy',
] as const
export type ConnectErrorCode = (typeof CONNECT_ERROR_CODES)[number]

export const RESOLVE_STATUSES = ['ok', 'no-data', 'no-name', 'refused', 'failed'] as const
export type ResolveStatus = (typeof RESOLVE_STATUSES)[number]

/** The most addresses in one answer: what fits a DNS message of 512 bytes beside a long name. */
export const MOST_ADDRESSES = 12
