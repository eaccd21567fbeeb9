import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'

/** The first flight of a real TLS client. @param servername none: a hello without a server name */
export async function clientHello(servername?: string): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    const socket = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, callback) => {
        resolve(chunk)
        callback()
        // It speaks before it exists: within `connect`.
        setImmediate(() => tls.destroy())
      },
    })
    const tls = connectTls({ socket, rejectUnauthorized: false, ...(servername === undefined ? {} : { servername }) })
    tls.on('error', reject)
  })
}
