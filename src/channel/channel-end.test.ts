import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { openPair } from '../../test/channel/open-pair.ts'
import type { Channel, Exchange } from './index.ts'
import { encodeData, encodeJson } from './frame.ts'
import { DATA_LIMIT_BYTES, INITIAL_CREDIT_BYTES } from './wire.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const ANY = z.looseObject({})
const PING = { label: 'ping', timeoutMs: 20_000, result: ANY }

function begin(channel: Channel): Exchange<unknown> {
  return channel.exchange('exec', {}, { label: 'exec', receive: [1], send: [0], result: ANY })
}

describe('the peer that goes away', () => {
  const moments = {
    'between frames': Buffer.alloc(0),
    'within a header': encodeData(1, 1, Buffer.alloc(1)).subarray(0, 5),
    'behind a header': encodeJson('EVENT', 1, { event: 'x' }).subarray(0, 12),
    'within a payload': encodeJson('EVENT', 1, { event: 'x' }).subarray(0, 15),
    'within data': encodeData(1, 1, Buffer.alloc(100)).subarray(0, 50),
  }
  for (const [moment, bytes] of Object.entries(moments)) {
    for (const way of ['end', 'destroy'] as const) {
      test(`${moment}, by ${way}: everything open rejects as lost`, async () => {
        await using pair = await openPair()
        const exchange = begin(pair.channel)
        const written = exchange.writable(0).write(Buffer.alloc(2 * INITIAL_CREDIT_BYTES))
        await pair.peer.next('REQUEST')
        if (bytes.byteLength > 0) await new Promise((resolve) => pair.peer.socket.write(bytes, resolve))
        pair.peer.socket[way]()
        await expect(exchange.response).rejects.toMatchObject({ code: 'VM_LOST', details: { dispatched: true } })
        await expect(written).rejects.toMatchObject({ code: 'VM_LOST' })
        await expect(pair.channel.closed).resolves.toMatchObject({ kind: 'peer-closed' })
        if (way === 'end') {
          await expect(pair.channel.closed).resolves.toHaveProperty('torn', bytes.byteLength > 0)
        }
        await exchange.settled
        await expect(pair.channel.request('ping', {}, PING)).rejects.toMatchObject({
          code: 'VM_LOST',
          details: { dispatched: false },
        })
      })
    }
  }

  test('leaves a reader what had arrived, then the error', async () => {
    await using pair = await openPair()
    const exchange = begin(pair.channel)
    await pair.peer.next('REQUEST')
    pair.peer.data(1, 1, Buffer.from('so far'))
    pair.peer.socket.end()
    await pair.channel.closed
    const stream = exchange.readable(1)
    expect(Buffer.from((await stream.next()).value ?? []).toString()).toBe('so far')
    await expect(stream.next()).rejects.toMatchObject({ code: 'VM_LOST' })
  })

  test('with a REQUEST that had not left says that it was not dispatched', async () => {
    await using pair = await openPair()
    pair.peer.socket.pause()
    const large = pair.channel.request('run', { code: 'x'.repeat(8_000_000) }, PING)
    const waiting = pair.channel.request('ping', {}, PING)
    pair.peer.socket.destroy()
    await expect(large).rejects.toMatchObject({ details: { dispatched: true } })
    await expect(waiting).rejects.toMatchObject({ details: { dispatched: false }, retryable: true })
  })
})

describe('closing', () => {
  test('rejects what is open and says why afterwards', async () => {
    await using pair = await openPair()
    const exchange = begin(pair.channel)
    const read = exchange.readable(1).next()
    await pair.channel.close()
    for (const waiting of [exchange.response, read, pair.channel.request('ping', {}, PING)]) {
      await expect(waiting).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
    }
    expect(pair.socket.closed).toBe(true)
    await pair.peer.ended
  })

  test('at the end of a scope, twice, and during a close', async () => {
    await using pair = await openPair()
    {
      await using channel = pair.channel
      expect(channel.isClosed).toBe(false)
    }
    expect(pair.socket.closed).toBe(true)
    await Promise.all([pair.channel.close(), pair.channel.close(), pair.channel[Symbol.asyncDispose]()])
    await using second = await openPair()
    let isClosed = false
    second.socket.once('close', () => {
      isClosed = true
    })
    const first = second.channel.close()
    const joined = second.channel.close()
    expect(isClosed).toBe(false)
    await joined
    expect(isClosed).toBe(true)
    await first
  })

  test('from within a callback stops what the same read still brings', async () => {
    await using pair = await openPair()
    let seen = 0
    const onEvent = (): void => {
      seen += 1
      void pair.channel.close()
    }
    const exchange = pair.channel.exchange('run', {}, { label: 'run', event: ANY, onEvent, result: ANY })
    await pair.peer.next('REQUEST')
    const event = encodeJson('EVENT', 1, { event: 'x' })
    pair.peer.send(Buffer.concat([event, event, Buffer.from('rubbish that is not a frame')]))
    await expect(exchange.response).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
    await expect(pair.channel.closed).resolves.toEqual({ kind: 'closed' })
    expect(seen).toBe(1)
  })

  test('keeps the first cause', async () => {
    await using pair = await openPair()
    pair.peer.send(Buffer.alloc(12))
    await pair.channel.closed
    await pair.channel.close()
    pair.peer.socket.destroy()
    await expect(pair.channel.closed).resolves.toMatchObject({ kind: 'protocol-error' })
  })
})

describe('memory', () => {
  test('stays bounded while the guest floods a stream that is dropped', async () => {
    await using pair = await openPair()
    const { channel, peer } = pair
    const controller = new AbortController()
    const exchange = channel.exchange('run', {}, { label: 'run', receive: [1], result: ANY, signal: controller.signal })
    await peer.next('REQUEST')
    controller.abort()
    await peer.next('CANCEL')
    let credit = INITIAL_CREDIT_BYTES
    const samples: number[] = []
    const chunk = Buffer.alloc(DATA_LIMIT_BYTES)
    for (let sent = 0; sent < 200_000_000; sent += DATA_LIMIT_BYTES) {
      while (credit < DATA_LIMIT_BYTES) credit += (await peer.next('CREDIT')).payload.readUInt32LE()
      if (sent % 20_000_000 < DATA_LIMIT_BYTES) samples.push(heldMemory())
      peer.data(1, 1, chunk)
      credit -= DATA_LIMIT_BYTES
    }
    peer.end(1, 1)
    peer.respond(1)
    await exchange.settled
    // Single samples may still see read buffers that are being swept; what is really kept is in every one of them.
    const early = Math.min(...samples.slice(0, 5))
    const late = Math.min(...samples.slice(5))
    expect(late - early).toBeLessThan(8_000_000)
  })

  test('stays bounded while the guest sends single bytes to a reader that does not read', async () => {
    await using pair = await openPair()
    const { channel, peer } = pair
    const exchange = channel.exchange('run', {}, { label: 'run', receive: [1], event: ANY, result: ANY })
    await peer.next('REQUEST')
    // 200 bytes of the stream, each in a read buffer of its own that an event fills up.
    const filler = encodeJson('EVENT', 1, { event: 'x'.repeat(70_000) })
    for (let index = 0; index < 200; index += 1) {
      peer.send(Buffer.concat([encodeData(1, 1, Buffer.from([index])), filler]))
      const answer = channel.request('ping', {}, PING)
      const { header } = await peer.next('REQUEST')
      peer.respond(header.id)
      await answer
    }
    const { value } = await exchange.readable(1).next()
    expect(value?.byteLength).toBe(200)
    expect(value?.buffer.byteLength).toBeLessThanOrEqual(800)
  })
})

/** Bytes that are still held after a collection. */
function heldMemory(): number {
  collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
}
