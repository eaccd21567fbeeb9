import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { openPair, type Pair } from '../../test/channel/open-pair.ts'
import {
  NAME_THAT_WAITS,
  PORT_THAT_REFUSES,
  PORT_THAT_WAITS,
  servedMethods,
} from '../../test/channel/served-methods.ts'
import { encodeEmpty, encodeJson } from './frame.ts'
import { type GuestAnswer, type GuestExchange, guestMethod } from './guest-methods.ts'
import { resolveParams } from './network-requests.ts'
import { EVEN_JSON_LIMIT_BYTES, INITIAL_CREDIT_BYTES, MOST_EVEN_EXCHANGES } from './wire.ts'

const FROM_GUEST = 0
const TO_GUEST = 1
const WEB = { address: '93.184.216.34', port: 443 }

/** A pair whose host serves the guest; `serve` gets what `connect` has connected. */
async function servingPair(serve?: (exchange: GuestExchange) => Promise<void>): Promise<Pair> {
  const pair = await openPair()
  pair.channel.serve(servedMethods(serve))
  return pair
}

async function heard(pair: Pair, type: 'EVENT' | 'RESPONSE'): Promise<{ id: number; body: unknown }> {
  const { header, payload } = await pair.peer.next(type)
  return { id: header.id, body: JSON.parse(payload.toString()) }
}

/** A promise and its levers. */
function gate<T>(): { readonly promise: Promise<T>; readonly open: (value: T) => void } {
  let open: (value: T) => void = () => undefined
  const promise = new Promise<T>((resolve) => {
    open = resolve
  })
  return { promise, open }
}

async function echo(exchange: GuestExchange): Promise<void> {
  const writer = exchange.writable(TO_GUEST)
  for await (const chunk of exchange.readable(FROM_GUEST)) if (!(await writer.write(chunk))) return
  writer.end()
  exchange.answer({ result: {} })
}

describe('an exchange that the guest begins', () => {
  test('is connected, carries bytes both ways and ends behind END of both', async () => {
    await using pair = await servingPair(echo)
    const { peer } = pair
    peer.request(2, 'connect', WEB)
    expect(await heard(pair, 'EVENT')).toEqual({ id: 2, body: { event: 'connected' } })
    peer.data(2, FROM_GUEST, Buffer.from('hello'))
    await peer.next('DATA')
    expect(peer.dataBytes.get('2/1')).toBe(5)
    peer.end(2, FROM_GUEST)
    expect(await heard(pair, 'RESPONSE')).toEqual({ id: 2, body: { result: {} } })
    const [end] = peer.heard.filter(({ header }) => header.type === 'END')
    expect(end?.header).toMatchObject({ id: 2, stream: TO_GUEST })
    expect(pair.channel.isClosed).toBe(false)
  })

  test('has back-pressure both ways, many windows long', async () => {
    await using pair = await servingPair(echo)
    const { peer } = pair
    const total = 8 * INITIAL_CREDIT_BYTES
    peer.request(2, 'connect', WEB)
    await peer.next('EVENT')
    let sent = 0
    let credit = INITIAL_CREDIT_BYTES
    // The guest keeps to its credit, and grants what it hears.
    while (sent < total || (peer.dataBytes.get('2/1') ?? 0) < total) {
      while (sent < total && credit >= 65_536) {
        peer.data(2, FROM_GUEST, Buffer.alloc(65_536, sent % 251))
        sent += 65_536
        credit -= 65_536
      }
      for (const frame of peer.heard.splice(0)) {
        if (frame.header.type === 'CREDIT') credit += frame.payload.readUInt32LE()
        if (frame.header.type === 'DATA') peer.credit(2, TO_GUEST, frame.header.length)
      }
      await setImmediate()
    }
    peer.end(2, FROM_GUEST)
    await peer.next('RESPONSE')
    expect(peer.dataBytes.get('2/1')).toBe(total)
  })

  test('that is refused gets its error, whatever was under way is dropped', async () => {
    const full = gate<boolean>()
    await using pair = await servingPair(async (exchange) => {
      // More than the guest has granted: it cannot leave, and must not stand before the error.
      const written = exchange.writable(TO_GUEST).write(Buffer.alloc(2 * INITIAL_CREDIT_BYTES))
      await exchange.readable(FROM_GUEST).next()
      exchange.answer({ error: { code: 'reset', message: 'the server reset it' } })
      full.open(await written.catch(() => false))
    })
    pair.peer.request(2, 'connect', WEB)
    await pair.peer.next('EVENT')
    pair.peer.data(2, FROM_GUEST, Buffer.from('x'))
    const body = { error: { code: 'reset', message: 'the server reset it' } }
    expect(await heard(pair, 'RESPONSE')).toEqual({ id: 2, body })
    expect(await full.promise).toBe(false)
    expect(pair.peer.dataBytes.get('2/1')).toBe(INITIAL_CREDIT_BYTES)
  })

  test('that the guest cancels is aborted and answered once its method has ended', async () => {
    const seen = gate<unknown>()
    const cleanedUp = gate<undefined>()
    await using pair = await servingPair(async (exchange) => {
      try {
        for await (const chunk of exchange.readable(FROM_GUEST)) expect(chunk).toBeDefined()
      } catch (error) {
        seen.open([exchange.signal.aborted, error])
      }
      await cleanedUp.promise
    })
    pair.peer.request(2, 'connect', WEB)
    await pair.peer.next('EVENT')
    pair.peer.cancel(2)
    expect(await seen.promise).toEqual([true, expect.any(Error)])
    await roundTrip(pair)
    expect(pair.peer.heard.some(({ header }) => header.type === 'RESPONSE')).toBe(false)
    cleanedUp.open(undefined)
    expect(await heard(pair, 'RESPONSE')).toMatchObject({ id: 2, body: { error: { code: 'reset' } } })
  })

  test('that the guest cancels after its result waits for no END', async () => {
    const answered = gate<undefined>()
    await using pair = await servingPair(async (exchange) => {
      exchange.writable(TO_GUEST).end()
      exchange.answer({ result: {} })
      await Promise.resolve()
      answered.open(undefined)
    })
    pair.peer.request(2, 'connect', WEB)
    await pair.peer.next('END')
    await answered.promise
    pair.peer.cancel(2)
    expect(await heard(pair, 'RESPONSE')).toMatchObject({ id: 2, body: { error: { code: 'reset' } } })
  })

  test('whose method fails or says nothing is answered all the same', async () => {
    for (const serve of [async () => await Promise.reject(new Error('defect')), async () => await Promise.resolve()]) {
      await using pair = await servingPair(serve)
      pair.peer.request(2, 'connect', WEB)
      expect(await heard(pair, 'RESPONSE')).toMatchObject({ id: 2, body: { error: { code: 'reset' } } })
      expect(pair.channel.isClosed).toBe(false)
    }
  })

  test('ends with the channel: its signal is aborted, its streams fail', async () => {
    const ends = gate<unknown[]>()
    await using pair = await servingPair(async (exchange) => {
      const write = exchange.writable(TO_GUEST).write(Buffer.alloc(2 * INITIAL_CREDIT_BYTES))
      const settled = await Promise.allSettled([exchange.readable(FROM_GUEST).next(), write])
      ends.open([exchange.signal.aborted, ...settled.map(({ status }) => status)])
    })
    pair.peer.request(2, 'connect', WEB)
    await pair.peer.next('EVENT')
    await pair.channel.close()
    expect(await ends.promise).toEqual([true, 'rejected', 'rejected'])
  })

  test('is answered with messages that fit a frame', async () => {
    await using pair = await openPair()
    const long: GuestAnswer = { error: { code: 'refused', message: '€'.repeat(EVEN_JSON_LIMIT_BYTES) } }
    const method = guestMethod({
      params: z.object({}),
      serve: async (_, exchange) => await Promise.resolve(exchange.answer(long)),
    })
    pair.channel.serve(new Map([['resolve', method]]))
    pair.peer.request(2, 'resolve', {})
    expect(await heard(pair, 'RESPONSE')).toMatchObject({ body: { error: { code: 'refused' } } })
  })

  test('uses an id space of its own', async () => {
    await using pair = await servingPair()
    pair.peer.request(2, 'resolve', { name: 'example.com', type: 'A' })
    await pair.peer.next('RESPONSE')
    await roundTrip(pair)
    pair.peer.request(4, 'resolve', { name: 'example.com', type: 'AAAA' })
    expect(await heard(pair, 'RESPONSE')).toMatchObject({ id: 4 })
  })
})

describe('a guest that begins too much', () => {
  test('may have as many open as the limit, and no more', async () => {
    await using pair = await servingPair()
    for (let count = 1; count <= MOST_EVEN_EXCHANGES; count += 1) {
      pair.peer.request(2 * count, 'connect', { ...WEB, port: PORT_THAT_WAITS })
    }
    await roundTrip(pair)
    pair.peer.cancel(2)
    await pair.peer.next('RESPONSE')
    pair.peer.request(2 * MOST_EVEN_EXCHANGES + 2, 'resolve', { name: NAME_THAT_WAITS, type: 'A' })
    await roundTrip(pair)
    expect(pair.channel.isClosed).toBe(false)
    pair.peer.request(2 * MOST_EVEN_EXCHANGES + 4, 'resolve', { name: NAME_THAT_WAITS, type: 'A' })
    const rule = 'too-many-exchanges'
    await expect(pair.channel.closed).resolves.toMatchObject({ kind: 'protocol-error', error: { details: { rule } } })
  })

  test('in one piece does not have all of it begun in one turn', async () => {
    await using pair = await openPair()
    let begun = 0
    const resolve = guestMethod({
      params: resolveParams,
      serve: async (_, exchange) => {
        begun += 1
        await Promise.resolve(exchange.answer({ result: { status: 'no-name', addresses: [], ttlS: 0 } }))
      },
    })
    pair.channel.serve(new Map([['resolve', resolve]]))
    const params = { name: 'a.test', type: 'A' }
    const ids = Array.from({ length: 800 }, (_, index) => 2 * index + 2)
    pair.peer.send(Buffer.concat(ids.map((id) => encodeJson('REQUEST', id, { method: 'resolve', params }))))
    const perTurn: number[] = []
    while (begun < ids.length) {
      const before = begun
      await setImmediate()
      perTurn.push(begun - before)
    }
    // Those of the turn's own and of the one before it.
    expect(Math.max(...perTurn)).toBeLessThanOrEqual(64)
    for (const id of ids) expect((await heard(pair, 'RESPONSE')).id).toBe(id)
  })

  test('and cancels what has not been begun has it never begun, and is answered', async () => {
    const served: number[] = []
    await using pair = await openPair()
    const resolve = guestMethod({
      params: resolveParams,
      serve: async (_, { id, signal }) => {
        served.push(id)
        if (!signal.aborted) await once(signal, 'abort')
      },
    })
    pair.channel.serve(new Map([['resolve', resolve]]))
    const params = { name: 'a.test', type: 'A' }
    const ids = Array.from({ length: 300 }, (_, index) => 2 * index + 2)
    pair.peer.send(
      Buffer.concat([
        ...ids.map((id) => encodeJson('REQUEST', id, { method: 'resolve', params })),
        ...ids.map((id) => encodeEmpty('CANCEL', id, 0)),
      ]),
    )
    for (const _ of ids) expect((await heard(pair, 'RESPONSE')).body).toMatchObject({ error: { code: 'reset' } })
    expect(served.length).toBeLessThan(ids.length)
  })

  test('and reads no answers is ended when those that wait are too many', async () => {
    await using pair = await servingPair()
    pair.peer.socket.pause()
    const memory = process.memoryUsage().heapUsed
    for (let id = 2; !pair.channel.isClosed; id += 2) {
      pair.peer.request(id, 'connect', { ...WEB, port: PORT_THAT_REFUSES })
      if (id % 512 === 0) await setImmediate()
    }
    const rule = 'too-many-exchanges'
    await expect(pair.channel.closed).resolves.toMatchObject({ kind: 'protocol-error', error: { details: { rule } } })
    expect(process.memoryUsage().heapUsed - memory).toBeLessThan(100_000_000)
  })

  test('is bounded in what it sends on each stream that nobody reads', async () => {
    await using pair = await servingPair()
    pair.peer.request(2, 'connect', WEB)
    await pair.peer.next('EVENT')
    for (let sent = 0; sent < INITIAL_CREDIT_BYTES; sent += 65_536) pair.peer.data(2, FROM_GUEST, Buffer.alloc(65_536))
    await roundTrip(pair)
    expect(pair.peer.heard.some(({ header }) => header.type === 'CREDIT')).toBe(false)
    pair.peer.data(2, FROM_GUEST, Buffer.alloc(1))
    await expect(pair.channel.closed).resolves.toMatchObject({ kind: 'protocol-error' })
  })
})

/** Resolves when the channel has read everything sent before. */
async function roundTrip({ channel, peer }: Pair): Promise<void> {
  const answer = channel.request('ping', {}, { label: 'ping', timeoutMs: 20_000, result: z.object({}) })
  const { header } = await peer.next('REQUEST')
  peer.respond(header.id)
  await answer
}
