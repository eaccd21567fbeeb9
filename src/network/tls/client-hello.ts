/** What the first bytes of a connection turned out to be. */
export type ClientOpening =
  | {
      readonly kind: 'tls'
      /** The server name (SNI): a host name in lower case. `undefined`: the client sent none. */
      readonly serverName: string | undefined
      /** The hello carries an encrypted one (ECH, or its grease): `serverName` is the outer, public name. */
      readonly ech: boolean
    }
  | { readonly kind: 'not-tls' }
  | { readonly kind: 'malformed'; readonly why: string }

/** Reads the ClientHello from the first bytes of a connection, however they are cut. Keeps no more than 16 KiB. */
export class ClientHelloReader {
  /**
   * Takes the next bytes; the caller keeps them, for they go out later. Bytes behind the answer are not looked at, and
   * further calls repeat the answer. Never throws.
   */
  feed(_chunk: Uint8Array): 'more' | ClientOpening {
    throw new Error('follows')
  }
}
