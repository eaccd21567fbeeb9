import { isHostName, lowerCase } from '../dns/host-name.ts'
import { ByteCursor, MalformedError } from './byte-cursor.ts'

export interface HelloMessage {
  readonly serverName: string | undefined
  readonly ech: boolean
}

/** RFC 6066 §3. */
const SERVER_NAME = 0
/** RFC 9849 encrypted_client_hello, and the draft before it (ESNI). */
const ENCRYPTED = new Set([0xfe0d, 0xffce])
/** RFC 6066 §3: NameType host_name, the only one. */
const HOST_NAME = 0

/**
 * Reads the body of a ClientHello (RFC 8446 §4.1.2, which all versions since TLS 1.0 share).
 * @throws MalformedError for what a server could read differently: wrong lengths, an extension twice (§4.2 forbids it for
 * all), a server name that is not exactly one host name. A trailing dot is forbidden (RFC 6066 §3), as are IP addresses.
 */
export function readHelloMessage(body: Uint8Array): HelloMessage {
  const cursor = new ByteCursor(body)
  cursor.take(2, 'the version')
  cursor.take(32, 'the random')
  if (cursor.vector(1, 'the session id').length > 32) throw new MalformedError('the session id is too long')
  const suites = cursor.vector(2, 'the list of cipher suites').length
  if (suites === 0 || suites % 2 === 1) throw new MalformedError('the list of cipher suites has a wrong length')
  if (cursor.vector(1, 'the list of compressions').length === 0) throw new MalformedError('there is no compression')
  // Before TLS 1.2 a hello could end here.
  if (cursor.left === 0) return { serverName: undefined, ech: false }
  const extensions = readExtensions(cursor.vector(2, 'the list of extensions'))
  cursor.end('the hello')
  const serverName = extensions.get(SERVER_NAME)
  return {
    serverName: serverName && readServerName(serverName),
    ech: [...ENCRYPTED].some((type) => extensions.has(type)),
  }
}

function readExtensions(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const cursor = new ByteCursor(bytes)
  const extensions = new Map<number, Uint8Array>()
  while (cursor.left > 0) {
    const type = cursor.number(2, 'an extension')
    if (extensions.has(type)) throw new MalformedError(`the extension ${type} comes twice`)
    extensions.set(type, cursor.vector(2, 'an extension'))
  }
  return extensions
}

function readServerName(extension: Uint8Array): string {
  const cursor = new ByteCursor(extension)
  const list = new ByteCursor(cursor.vector(2, 'the list of server names'))
  cursor.end('the list of server names')
  if (list.number(1, 'the server name') !== HOST_NAME) throw new MalformedError('the server name is of an unknown type')
  const bytes = list.vector(2, 'the server name')
  list.end('the server name')
  // latin1 keeps every byte apart, so that what is not ASCII fails the check instead of being decoded away.
  const name = lowerCase(Buffer.from(bytes).toString('latin1'))
  if (!isHostName(name)) throw new MalformedError('the server name is no host name')
  return name
}
