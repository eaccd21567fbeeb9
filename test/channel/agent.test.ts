import { once } from 'node:events'
import { createServer } from 'node:net'
import { beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Channel, type Exchange, RequestRefusedError } from '../../src/channel/index.ts'
import { INITIAL_CREDIT_BYTES } from '../../src/channel/wire.ts'
import { DIAL_STREAMS, dialGuest } from '../../src/vm/index.ts'
import { AgentProcess, BUILD_TIMEOUT_MS, buildAgentProgram } from './agent-process.ts'

const STDIN = 0
const STDOUT = 1
const STDERR = 2
const end = z.looseObject({ exitCode: z.number(), reason: z.string() })
const QUICK = { label: 'quick', timeoutMs: 20_000, result: z.looseObject({}) }

let program: string

beforeAll(async () => {
  program = await buildAgentProgram()
}, BUILD_TIMEOUT_MS)

function exec(channel: Channel, argv: readonly string[], signal?: AbortSignal): Exchange<z.infer<typeof end>> {
  const params = { argv, env: {}, timeoutMs: 0, stdoutLimit: 0, stderrLimit: 0 }
  return channel.exchange('exec', params, {
    label: argv.join(' ').slice(0, 60),
    receive: [STDOUT, STDERR],
    send: [STDIN],
    event: z.looseObject({ event: z.literal('started') }),
    maxEvents: 1,
    result: end,
    signal,
  })
}

async function read(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

describe('the channel and the real agent', () => {
  test('agree on requests, refusals and what is unknown', async () => {
    await using agent = await AgentProcess.start(program)
    const { channel } = agent
    expect(channel.hello?.agent).toMatch(/^\d+\.\d+\.\d+/)
    await expect(channel.request('ping', {}, QUICK)).resolves.toHaveProperty('guestMs')
    const unknown = channel.request('no-such-method', {}, QUICK)
    await expect(unknown).rejects.toBeInstanceOf(RequestRefusedError)
    await expect(unknown).rejects.toMatchObject({ refusal: 'unknown-method' })
    await expect(channel.request('signal', { target: 1, signal: 65 }, QUICK)).rejects.toMatchObject({
      refusal: 'bad-request',
    })
    await expect(exec(channel, ['/no/such/program']).response).resolves.toMatchObject({ exitCode: 127 })
    expect(channel.isClosed).toBe(false)
  })

  test('carry any bytes both ways at once, many windows long', async () => {
    await using agent = await AgentProcess.start(program)
    const cat = exec(agent.channel, ['cat'])
    const sent = Buffer.from(Array.from({ length: 3_000_001 }, (_, index) => (index * 7) % 256))
    const stdin = cat.writable(STDIN)
    const write = (async () => {
      for (let offset = 0; offset < sent.byteLength; offset += 100_000) {
        expect(await stdin.write(sent.subarray(offset, offset + 100_000))).toBe(true)
      }
      stdin.end()
    })()
    const [output] = await Promise.all([read(cat.readable(STDOUT)), write])
    expect(output.equals(sent)).toBe(true)
    await expect(cat.response).resolves.toMatchObject({ exitCode: 0, reason: 'exit' })
  })

  test('do not let 100 MB delay a kill by more than the window and what the agent has queued', async () => {
    await using agent = await AgentProcess.start(program)
    const { channel } = agent
    const size = 100_000_000
    const victim = exec(channel, ['sleep', '600'])
    const stream = exec(channel, ['head', '-c', String(size), '/dev/zero'])
    let received = 0
    let before: number | undefined
    let killed: Promise<number> | undefined
    for await (const chunk of stream.readable(STDOUT)) {
      received += chunk.byteLength
      if (received < size / 10 || before !== undefined) continue
      before = received
      killed = channel.request('signal', { target: victim.id, signal: 9 }, QUICK).then(() => received)
    }
    expect(received).toBe(size)
    expect(((await killed) ?? size) - (before ?? 0)).toBeLessThanOrEqual(2 * INITIAL_CREDIT_BYTES)
    await expect(victim.response).resolves.toMatchObject({ exitCode: 137, reason: 'signal' })
    await expect(stream.response).resolves.toMatchObject({ exitCode: 0 })
  })

  test('end an aborted program whose output nobody reads, and go on', async () => {
    await using agent = await AgentProcess.start(program)
    const { channel } = agent
    const controller = new AbortController()
    const endless = exec(channel, ['cat', '/dev/zero'], controller.signal)
    await endless.readable(STDOUT).next()
    controller.abort()
    await expect(endless.response).rejects.toMatchObject({ code: 'ABORTED' })
    await endless.settled
    const echo = exec(channel, ['echo', 'alive'])
    expect((await read(echo.readable(STDOUT))).toString()).toBe('alive\n')
    expect(channel.isClosed).toBe(false)
  })

  test('dial a server, carry bytes and half-closes both ways, and say when there is none', async () => {
    await using agent = await AgentProcess.start(program)
    const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    const signal = new AbortController().signal
    let accepted: () => void = () => undefined
    const connected = new Promise<void>((resolve) => {
      accepted = resolve
    })
    const exchange = dialGuest(agent.channel, port, { onConnected: accepted, signal })
    await connected
    const sent = Buffer.from(Array.from({ length: 1_000_001 }, (_, index) => (index * 13) % 256))
    const writer = exchange.writable(DIAL_STREAMS.toGuest)
    const write = (async () => {
      expect(await writer.write(sent)).toBe(true)
      writer.end()
    })()
    const [echoed] = await Promise.all([read(exchange.readable(DIAL_STREAMS.fromGuest)), write])
    expect(echoed.equals(sent)).toBe(true)
    await expect(exchange.response).resolves.toEqual({})
    server.close()
    await once(server, 'close')
    const refused = dialGuest(agent.channel, port, { onConnected: () => undefined, signal })
    await expect(refused.response).rejects.toMatchObject({ refusal: 'refused' })
    await expect(refused.readable(DIAL_STREAMS.fromGuest).next()).rejects.toMatchObject({ refusal: 'refused' })
    expect(agent.channel.isClosed).toBe(false)
  })

  test('tell a writer that its program has ended', async () => {
    await using agent = await AgentProcess.start(program)
    const gone = exec(agent.channel, ['true'])
    const stdin = gone.writable(STDIN)
    await gone.response
    await expect(stdin.write(Buffer.alloc(10))).resolves.toBe(false)
  })
})
