import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { QmpClient } from './qmp-client.ts'
import type { QmpEvent } from './qmp-messages.ts'
import { connect } from 'node:net'

/** What a taken-over QEMU could send is told here byte by byte; a real one is used in test/vm. */
const GREETING = '{"QMP":{"version":{"qemu":{"major":10,"minor":0,"micro":2},"package":""},"capabilities":[]}}\n'

const open: (() => void)[] = []
afterEach(() => {
  for (const close of open.splice(0)) close()
})

interface Peer {
  readonly socket: Socket
  readonly client: Promise<QmpClient>
  readonly events: QmpEvent[]
  readonly malformed: string[]
  /** The next command that arrives. */
  readonly next: () => Promise<{ execute: string; id: number }>
}

async function peer(timeoutMs = 5_000): Promise<Peer> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const ours = connect(port, '127.0.0.1')
  const [socket] = (await once(server, 'connection')) as [Socket]
  socket.on('error', () => undefined)
  open.push(() => {
    ours.destroy()
    socket.destroy()
    server.close()
  })
  const events: QmpEvent[] = []
  const malformed: string[] = []
  const client = QmpClient.open(ours, {
    timeoutMs,
    onEvent: (event) => events.push(event),
    onMalformed: (reason) => malformed.push(reason),
  })
  client.catch(() => undefined)
  const commands: { execute: string; id: number }[] = []
  const waiting: ((command: { execute: string; id: number }) => void)[] = []
  socket.on('data', (chunk: Buffer) => {
    for (const line of chunk.toString().trim().split('\n')) {
      const command = JSON.parse(line) as { execute: string; id: number }
      const taker = waiting.shift()
      if (taker === undefined) commands.push(command)
      else taker(command)
    }
  })
  const next = async (): Promise<{ execute: string; id: number }> =>
    commands.shift() ?? (await new Promise((resolve) => waiting.push(resolve)))
  return { socket, client, events, malformed, next }
}

async function greeted(): Promise<Peer & { readonly qmp: QmpClient }> {
  const made = await peer()
  made.socket.write(GREETING)
  const { id } = await made.next()
  made.socket.write(`{"return":{},"id":${id}}\n`)
  return { ...made, qmp: await made.client }
}

describe('QmpClient', () => {
  it('reads the version from the greeting', async () => {
    expect((await greeted()).qmp.version).toEqual({ major: 10, minor: 0, micro: 2 })
  })

  it('matches replies by id, in any order, with events between them', async () => {
    const { qmp, socket, next, events } = await greeted()
    const first = qmp.execute('one', {}, { result: z.string() })
    const second = qmp.execute('two', {}, { result: z.string() })
    const [a, b] = [await next(), await next()]
    socket.write(`{"return":"second","id":${b.id}}\n{"event":"STOP","data":{}}\n{"return":"first","id":${a.id}}\n`)
    expect(await Promise.all([first, second])).toEqual(['first', 'second'])
    expect(events).toEqual([{ name: 'STOP' }])
  })

  it('tells what QEMU refused, with the name of the command and the stack of the call', async () => {
    const { qmp, socket, next } = await greeted()
    const call = async function theCaller(): Promise<unknown> {
      return await qmp.execute('cont', {}, { result: z.unknown() })
    }
    const outcome = call().catch((error: unknown) => error)
    socket.write(`{"error":{"class":"GenericError","desc":"not now"},"id":${(await next()).id}}\n`)
    const error = await outcome
    expect(error).toMatchObject({ failure: 'refused', message: 'QMP cont: GenericError: not now' })
    expect((error as Error).stack).toContain('theCaller')
  })

  it('gives up on a call that is not answered, and takes the late answer for nothing', async () => {
    const { qmp, socket, next, malformed } = await greeted()
    const late = qmp.execute('slow', {}, { result: z.unknown(), timeoutMs: 30 })
    const { id } = await next()
    await expect(late).rejects.toMatchObject({ failure: 'timeout' })
    const again = qmp.execute('quick', {}, { result: z.number() })
    const quick = await next()
    socket.write(`{"return":{},"id":${id}}\n{"return":5,"id":${quick.id}}\n`)
    expect(await again).toBe(5)
    expect(malformed).toEqual([])
  })

  it('fails every call when the connection ends', async () => {
    const { qmp, socket, next } = await greeted()
    const call = qmp.execute('cont', {}, { result: z.unknown() })
    call.catch(() => undefined)
    await next()
    socket.destroy()
    await expect(call).rejects.toMatchObject({ failure: 'closed' })
    await expect(qmp.execute('cont', {}, { result: z.unknown() })).rejects.toMatchObject({ failure: 'closed' })
  })

  it('does not wait for ever for a greeting', async () => {
    const { client } = await peer(30)
    await expect(client).rejects.toMatchObject({ failure: 'timeout' })
  })

  it.each([
    ['no JSON', 'hello\n'],
    ['an array', '[]\n'],
    ['a reply without an id', '{"return":{}}\n'],
    ['an error without an id', '{"error":{"class":"x","desc":"y"}}\n'],
    ['a shutdown without its reason', '{"event":"SHUTDOWN","data":{"guest":true}}\n'],
    ['a prototype in place of a version', '{"QMP":{"__proto__":{"version":{}}}}\n'],
    ['a flood of events', '{"event":"STOP"}\n'.repeat(2_000)],
    ['a flood of answers', '{"return":{},"id":99999}\n'.repeat(2_000)],
    ['a line without end', 'x'.repeat(5_000_000)],
  ])('ends the connection at %s', async (_, bytes) => {
    const { qmp, socket, malformed } = await greeted()
    const call = qmp.execute('cont', {}, { result: z.unknown() })
    call.catch(() => undefined)
    socket.write(bytes)
    await expect(call).rejects.toMatchObject({ failure: 'malformed' })
    expect(malformed).toHaveLength(1)
    expect(Object.prototype).not.toHaveProperty('version')
  })
})
