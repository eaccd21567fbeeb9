import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { openPair, type Pair } from '../../test/channel/open-pair.ts'
import type { Exchange } from './index.ts'
import { DATA_LIMIT_BYTES, INITIAL_CREDIT_BYTES } from './wire.ts'

const ANY = z.looseObject({})
const PING = { label: 'ping', timeoutMs: 20_000, result: ANY }

function begin({ channel }: Pair, signal?: AbortSignal): Exchange<unknown> {
  return channel.exchange('exec', {}, { label: 'exec', receive: [1], send: [0], result: ANY, signal })
}

/** The channel still answers: whatever the exchange went through, it is alone in it. */
async function expectAlive({ channel, peer }: Pair): Promise<void> {
  const answer = channel.request('ping', {}, PING)
  const { header } = await peer.next('REQUEST')
  peer.respond(header.id)
  await answer
}

describe('an aborted exchange', () => {
  test('that had not begun sends nothing', async () => {
    await using pair = await openPair()
    const exchange = begin(pair, AbortSignal.abort(new Error('why')))
    await expect(exchange.response).rejects.toMatchObject({ code: 'ABORTED', cause: { message: 'why' } })
    await exchange.settled
    await expectAlive(pair)
    expect(pair.peer.heard).toEqual([])
  })

  test('whose REQUEST still waits for the socket takes it back', async () => {
    await using pair = await openPair()
    const { channel, peer } = pair
    peer.socket.pause()
    // Fills the socket: what follows has to wait.
    const large = channel.request('run', { code: 'x'.repeat(8_000_000) }, PING)
    const controller = new AbortController()
    const exchange = begin(pair, controller.signal)
    controller.abort()
    await expect(exchange.response).rejects.toMatchObject({ code: 'ABORTED' })
    await exchange.settled
    peer.socket.resume()
    expect((await peer.next('REQUEST')).header.id).toBe(1)
    peer.respond(1)
    await large
    await expectAlive(pair)
    expect(peer.heard).toEqual([])
  })

  test('rejects at once, then drops what comes, granting credit, until the RESPONSE', async () => {
    await using pair = await openPair()
    const { peer } = pair
    const controller = new AbortController()
    const exchange = begin(pair, controller.signal)
    const read = exchange.readable(1).next()
    const written = exchange.writable(0).write(Buffer.alloc(INITIAL_CREDIT_BYTES + 1))
    await peer.next('REQUEST')
    controller.abort()
    for (const waiting of [exchange.response, read, written]) {
      await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
    }
    await peer.next('CANCEL')
    let credit = INITIAL_CREDIT_BYTES
    for (let sent = 0; sent < 10 * INITIAL_CREDIT_BYTES; sent += DATA_LIMIT_BYTES) {
      while (credit < DATA_LIMIT_BYTES) credit += (await peer.next('CREDIT')).payload.readUInt32LE()
      peer.data(1, 1, Buffer.alloc(DATA_LIMIT_BYTES))
      credit -= DATA_LIMIT_BYTES
    }
    peer.end(1, 1)
    peer.respond(1, { any: 'result' })
    await exchange.settled
    await expectAlive(pair)
  })

  test('drops what was queued for its reader', async () => {
    await using pair = await openPair()
    const controller = new AbortController()
    const exchange = begin(pair, controller.signal)
    await pair.peer.next('REQUEST')
    pair.peer.data(1, 1, Buffer.alloc(INITIAL_CREDIT_BYTES / 4))
    pair.peer.end(1, 1)
    await expectAlive(pair)
    controller.abort()
    await expect(exchange.readable(1).next()).rejects.toMatchObject({ code: 'ABORTED' })
    await pair.peer.next('CANCEL')
    pair.peer.respond(1)
    await exchange.settled
  })

  test('that the guest does not end in time closes the channel with that cause', async () => {
    await using pair = await openPair()
    const controller = new AbortController()
    const options = { ...PING, label: 'stuck', signal: controller.signal, cancelTimeoutMs: 20 }
    const answer = pair.channel.request('ping', {}, options)
    await pair.peer.next('REQUEST')
    controller.abort()
    await expect(answer).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(pair.channel.closed).resolves.toEqual({ kind: 'unresponsive', label: 'stuck', waitedMs: 20 })
  })

  test('after its RESPONSE changes nothing', async () => {
    await using pair = await openPair()
    const controller = new AbortController()
    const exchange = begin(pair, controller.signal)
    await pair.peer.next('REQUEST')
    pair.peer.data(1, 1, Buffer.from('all'))
    pair.peer.end(1, 1)
    pair.peer.respond(1, { n: 1 })
    await expect(exchange.response).resolves.toEqual({ n: 1 })
    controller.abort()
    exchange.cancel()
    expect(Buffer.from((await exchange.readable(1).next()).value ?? []).toString()).toBe('all')
    await expectAlive(pair)
    expect(pair.peer.heard).toEqual([])
  })
})

describe('a cancelled exchange', () => {
  test('goes on to its response, and is cancelled once', async () => {
    await using pair = await openPair()
    const exchange = begin(pair)
    exchange.cancel()
    exchange.cancel()
    await pair.peer.next('REQUEST')
    await pair.peer.next('CANCEL')
    pair.peer.data(1, 1, Buffer.from('last words'))
    pair.peer.end(1, 1)
    pair.peer.respond(1, { reason: 'cancelled' })
    const chunks: Uint8Array[] = []
    for await (const chunk of exchange.readable(1)) chunks.push(chunk)
    expect(Buffer.concat(chunks).toString()).toBe('last words')
    await expect(exchange.response).resolves.toEqual({ reason: 'cancelled' })
    await expectAlive(pair)
    expect(pair.peer.heard).toEqual([])
  })

  test('has until its deadline', async () => {
    await using pair = await openPair()
    const options = { label: 'stuck', result: ANY, cancelTimeoutMs: 20 }
    const exchange = pair.channel.exchange('run', {}, options)
    exchange.cancel()
    await expect(exchange.response).rejects.toMatchObject({ code: 'VM_LOST' })
  })

  test('is not blamed for a reader of ours that does not read', async () => {
    await using pair = await openPair()
    const options = { label: 'held back', receive: [1], result: ANY, cancelTimeoutMs: 10 }
    const exchange = pair.channel.exchange('run', {}, options)
    await pair.peer.next('REQUEST')
    for (let index = 0; index < 4; index += 1) pair.peer.data(1, 1, Buffer.alloc(DATA_LIMIT_BYTES))
    await expectAlive(pair)
    exchange.cancel()
    // Several deadlines of the exchange pass while ours, set later and longer, runs.
    const late = pair.channel.request('ping', {}, { ...PING, label: 'late', timeoutMs: 100 })
    await expect(late).rejects.toMatchObject({ message: expect.stringContaining('late') })
    await expect(pair.channel.closed).resolves.toMatchObject({ label: 'late' })
  })
})

describe('a REQUEST that still waits for the socket', () => {
  test('an answer before it breaks the protocol', async () => {
    await using pair = await openPair()
    pair.peer.socket.pause()
    const large = pair.channel.request('run', { code: 'x'.repeat(8_000_000) }, PING)
    const early = pair.channel.request('ping', {}, PING)
    pair.peer.respond(3)
    await expect(early).rejects.toMatchObject({ details: { rule: 'not-open' } })
    await expect(large).rejects.toMatchObject({ code: 'PROTOCOL' })
  })
})
