import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Two connected unix stream sockets, both ends in this process: the kernel object that QEMU is given, too. */
export async function connectedSockets(): Promise<readonly [Socket, Socket]> {
  const directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-channel-'))
  const server = createServer()
  try {
    const path = join(directory, 's')
    server.listen(path)
    await once(server, 'listening')
    const accepted = once(server, 'connection') as Promise<[Socket]>
    const near = connect(path)
    await once(near, 'connect')
    const [far] = await accepted
    return [near, far]
  } finally {
    server.close()
    await rm(directory, { recursive: true })
  }
}
