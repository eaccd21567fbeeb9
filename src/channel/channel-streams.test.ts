import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { openPair, type Pair } from '../../test/channel/open-pair.ts'
import { DATA_LIMIT_BYTES, HEADER_BYTES, HIGHEST_CREDIT_BYTES, INITIAL_CREDIT_BYTES } from './wire.ts'

const ANY = z.looseObject({})
const PING = { label: 'ping', timeoutMs: 20_000, result: ANY }

/** Sends `total` bytes on a stream as the host grants credit, then END and RESPONSE. */
async function sendAll({ peer }: Pair, id: number, stream: number, total: number): Promise<void> {
  const chunk = Buffer.alloc(DATA_LIMIT_BYTES, id)
  let credit = INITIAL_CREDIT_BYTES
  let rest = total
  while (rest > 0) {
    while (credit === 0) credit += (await peer.next('CREDIT')).payload.readUInt32LE()
    const bytes = Math.min(rest, credit, DATA_LIMIT_BYTES)
    peer.data(id, stream, chunk.subarray(0, bytes))
    credit -= bytes
    rest -= bytes
  }
  peer.end(id, stream)
  peer.respond(id)
}

/** Resolves when the channel has read everything sent before: it answers in order. */
async function roundTrip({ channel, peer }: Pair): Promise<void> {
  const answer = channel.request('ping', {}, PING)
  const { header } = await peer.next('REQUEST')
  peer.respond(header.id)
  await answer
}

describe('a stream from the guest', () => {
  test('carries any number of bytes, granted as they are read', async () => {
    await using pair = await openPair()
    const exchange = pair.channel.exchange('run', {}, { label: 'run', receive: [1], result: ANY })
    await pair.peer.next('REQUEST')
    const total = 5_000_001
    const sent = sendAll(pair, 1, 1, total)
    let read = 0
    for await (const chunk of exchange.readable(1)) {
      expect(chunk.every((byte) => byte === 1)).toBe(true)
      read += chunk.byteLength
    }
    expect(read).toBe(total)
    await Promise.all([sent, exchange.response])
  })

  test('has a wider window once it is read, and no wider one', async () => {
    await using pair = await openPair()
    const exchange = pair.channel.exchange('run', {}, { label: 'run', receive: [1], result: ANY })
    exchange.widen(1, 1_048_576)
    await pair.peer.next('REQUEST')
    for (let index = 0; index < 4; index += 1) pair.peer.data(1, 1, Buffer.alloc(DATA_LIMIT_BYTES))
    await roundTrip(pair)
    expect(pair.peer.heard.filter(({ header }) => header.type === 'CREDIT')).toEqual([])
    for (let read = 0; read < DATA_LIMIT_BYTES; ) read += (await exchange.readable(1).next()).value?.byteLength ?? 0
    const granted = (await pair.peer.next('CREDIT')).payload.readUInt32LE()
    expect(granted).toBeGreaterThanOrEqual(1_048_576 - INITIAL_CREDIT_BYTES + DATA_LIMIT_BYTES)
    expect(granted).toBeLessThanOrEqual(1_048_576)
    for (let rest = granted; rest > 0; rest -= DATA_LIMIT_BYTES) {
      pair.peer.data(1, 1, Buffer.alloc(Math.min(rest, DATA_LIMIT_BYTES)))
    }
    await roundTrip(pair)
    pair.peer.data(1, 1, Buffer.alloc(1))
    await expect(exchange.response).rejects.toMatchObject({ details: { rule: 'credit' } })
  })

  test('that nobody reads gets no credit and stalls nothing else', async () => {
    await using pair = await openPair()
    const unread = pair.channel.exchange('run', {}, { label: 'unread', receive: [1, 2], result: ANY })
    const read = pair.channel.exchange('run', {}, { label: 'read', receive: [1], result: ANY })
    for (let index = 0; index < 4; index += 1) pair.peer.data(1, 1, Buffer.alloc(DATA_LIMIT_BYTES))
    pair.peer.data(1, 2, Buffer.from('the other stream'))
    const sent = sendAll(pair, 3, 1, 1_000_000)
    let total = 0
    for await (const chunk of read.readable(1)) total += chunk.byteLength
    expect(total).toBe(1_000_000)
    await sent
    const answer = pair.channel.request('ping', {}, PING)
    pair.peer.respond(5)
    await answer
    const first = await unread.readable(2).next()
    expect(Buffer.from(first.value ?? []).toString()).toBe('the other stream')
    expect(pair.peer.heard.filter(({ header }) => header.type === 'CREDIT' && header.id === 1)).toEqual([])
  })

  test('is cut off by more than its limit', async () => {
    await using pair = await openPair()
    const receive = [{ stream: 1, limitBytes: 10 }]
    const exchange = pair.channel.exchange('run', {}, { label: 'run', receive, result: ANY })
    await pair.peer.next('REQUEST')
    pair.peer.data(1, 1, Buffer.alloc(10))
    pair.peer.data(1, 1, Buffer.alloc(1))
    await expect(exchange.response).rejects.toMatchObject({ details: { rule: 'limit' } })
  })

  test('is known by the numbers of the exchange only', async () => {
    await using pair = await openPair()
    const exchange = pair.channel.exchange('run', {}, { label: 'run', receive: [1], send: [0], result: ANY })
    expect(() => exchange.readable(0)).toThrow('no stream 0 to read')
    expect(() => exchange.writable(1)).toThrow('no stream 1 to write')
  })
})

describe('a stream to the guest', () => {
  test('sends what credit allows, in frames within the limit, and END behind the last byte', async () => {
    const received: Buffer[] = []
    await using pair = await openPair((_, piece) => received.push(Buffer.from(piece)))
    const exchange = pair.channel.exchange('exec', {}, { label: 'exec', send: [0], result: ANY })
    await pair.peer.next('REQUEST')
    const bytes = Buffer.from(Array.from({ length: 1_000_000 }, (_, index) => index % 251))
    const stdin = exchange.writable(0)
    const written = stdin.write(bytes)
    stdin.end()
    let granted = INITIAL_CREDIT_BYTES
    let heard = 0
    while (heard < bytes.byteLength) {
      const { header } = await pair.peer.next('DATA')
      heard += header.length
      expect(header.length).toBeLessThanOrEqual(DATA_LIMIT_BYTES)
      expect(heard).toBeLessThanOrEqual(granted)
      if (heard < granted || granted >= bytes.byteLength) continue
      pair.peer.credit(1, 0, 100_000)
      granted += 100_000
    }
    expect(pair.peer.heard.filter(({ header }) => header.type === 'DATA')).toEqual([])
    await expect(written).resolves.toBe(true)
    const { bytesBefore } = await pair.peer.next('END')
    expect(bytesBefore).toBeGreaterThan(bytes.byteLength)
    expect(Buffer.concat(received).equals(bytes)).toBe(true)
    pair.peer.respond(1)
    await exchange.response
    await expect(stdin.write(bytes)).resolves.toBe(false)
  })

  test('tells its writer that the program ended first', async () => {
    await using pair = await openPair()
    const exchange = pair.channel.exchange('exec', {}, { label: 'exec', send: [0], result: ANY })
    await pair.peer.next('REQUEST')
    const written = exchange.writable(0).write(Buffer.alloc(INITIAL_CREDIT_BYTES + 1))
    await expect(exchange.writable(0).write(Buffer.alloc(1))).rejects.toThrow('previous one')
    pair.peer.respond(1)
    await expect(written).resolves.toBe(false)
  })

  test('takes turns with the others', async () => {
    await using pair = await openPair()
    const { channel, peer } = pair
    // More than any socket takes at once.
    const bytes = Buffer.alloc(20_000_000)
    const both = [1, 3].map(() => channel.exchange('exec', {}, { label: 'exec', send: [0], result: ANY }))
    for (const { id } of both) {
      await peer.next('REQUEST')
      peer.credit(id, 0, bytes.byteLength)
    }
    await roundTrip(pair)
    peer.socket.pause()
    const writes = both.map(async (exchange) => await exchange.writable(0).write(bytes))
    peer.socket.resume()
    await Promise.all(writes)
    for (const exchange of both) {
      exchange.writable(0).end()
      await peer.next('END')
    }
    const order = peer.heard.filter(({ header }) => header.type === 'DATA').map(({ header }) => header.id)
    // The first was alone until the second began, and the second is alone once the first is done.
    const shared = order.slice(order.indexOf(3), order.lastIndexOf(1) + 1)
    expect(shared.length).toBeGreaterThan(100)
    expect(shared.every((id, index) => id === (index % 2 === 0 ? 3 : 1))).toBe(true)
  })
})

describe('control frames beside a 100 MB stream', () => {
  const SIZE = 100_000_000

  test('to the guest: only what the socket already had stands before a CANCEL', async () => {
    await using pair = await openPair()
    const { channel, peer, socket } = pair
    const upload = channel.exchange('exec', {}, { label: 'upload', send: [0], result: ANY })
    const victim = channel.exchange('run', {}, { label: 'victim', result: ANY })
    await peer.next('REQUEST')
    await peer.next('REQUEST')
    peer.credit(1, 0, HIGHEST_CREDIT_BYTES - INITIAL_CREDIT_BYTES)
    const written = upload.writable(0).write(Buffer.alloc(SIZE))
    while ((peer.dataBytes.get('1/0') ?? 0) < 10_000_000) await peer.next('DATA')
    peer.socket.pause()
    // The socket is full once the host has stopped handing it data.
    while (!socket.writableNeedDrain) await new Promise((resolve) => setImmediate(resolve))
    const before = socket.bytesWritten
    expect(socket.writableLength).toBeLessThanOrEqual(socket.writableHighWaterMark + DATA_LIMIT_BYTES + HEADER_BYTES)
    victim.cancel()
    peer.socket.resume()
    const { header, bytesBefore } = await peer.next('CANCEL')
    expect(header.id).toBe(3)
    expect(bytesBefore).toBeLessThanOrEqual(before)
    expect(before).toBeLessThan(SIZE / 2)
    await written
    upload.writable(0).end()
    await peer.next('END')
    expect(peer.dataBytes.get('1/0')).toBe(SIZE)
  })

  test('from the guest: at most one window of data stands before an answer', async () => {
    await using pair = await openPair()
    const download = pair.channel.exchange('exec', {}, { label: 'download', receive: [1], result: ANY })
    await pair.peer.next('REQUEST')
    const sent = sendAll(pair, 1, 1, SIZE)
    const answered = (async () => {
      const { header } = await pair.peer.next('REQUEST')
      pair.peer.respond(header.id)
    })()
    let read = 0
    let answer: Promise<number> | undefined
    let atKill = 0
    for await (const chunk of download.readable(1)) {
      read += chunk.byteLength
      if (read < SIZE / 10 || answer !== undefined) continue
      atKill = read
      answer = pair.channel.request('signal', {}, PING).then(() => read)
    }
    const atAnswer = await answer
    expect(read).toBe(SIZE)
    expect((atAnswer ?? SIZE) - atKill).toBeLessThanOrEqual(INITIAL_CREDIT_BYTES)
    await Promise.all([sent, answered, download.response])
  })
})
