import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { connectedSockets } from '../../test/channel/connected-sockets.ts'
import { openPair } from '../../test/channel/open-pair.ts'
import { WirePeer } from '../../test/channel/wire-peer.ts'
import { Channel, RequestRefusedError } from './index.ts'
import { GENERATION } from './wire.ts'

const pong = z.object({ guestMs: z.number() })
const PING = { label: 'ping', timeoutMs: 20_000, result: pong }
const ANY = z.looseObject({})

describe('opening', () => {
  test('sends nothing before HELLO, then WELCOME', async () => {
    const [near, far] = await connectedSockets()
    await using peer = new WirePeer(far)
    const opening = Channel.open(near, { helloTimeoutMs: 20_000 })
    expect(near.bytesWritten).toBe(0)
    peer.hello({ generation: GENERATION, agent: '7.8.9', later: true })
    await using channel = await opening
    const { payload } = await peer.next('WELCOME')
    expect(JSON.parse(payload.toString())).toEqual({ generation: GENERATION })
    expect(channel.hello).toEqual({ generation: GENERATION, agent: '7.8.9' })
  })

  test('gives up on a silent guest at its deadline and closes the socket', async () => {
    const [near, far] = await connectedSockets()
    await using peer = new WirePeer(far)
    const opening = Channel.open(near, { helloTimeoutMs: 20 })
    await expect(opening).rejects.toMatchObject({ code: 'VM_LOST', details: { dispatched: false } })
    expect(near.closed).toBe(true)
    await peer.ended
  })

  test('ends with its signal, before and during the wait', async () => {
    for (const early of [true, false]) {
      const [near, far] = await connectedSockets()
      await using peer = new WirePeer(far)
      const controller = new AbortController()
      if (early) controller.abort()
      const opening = Channel.open(near, { helloTimeoutMs: 20_000, signal: controller.signal })
      controller.abort()
      await expect(opening).rejects.toMatchObject({ code: 'ABORTED' })
      await peer.ended
    }
  })

  test('tells that the guest is gone', async () => {
    const [near, far] = await connectedSockets()
    far.destroy()
    await expect(Channel.open(near, { helloTimeoutMs: 20_000 })).rejects.toMatchObject({ code: 'VM_LOST' })
    // And again on the socket that is now closed.
    await expect(Channel.open(near, { helloTimeoutMs: 20_000 })).rejects.toMatchObject({ code: 'VM_LOST' })
  })
})

describe('a request', () => {
  test('gives the result that the guest sent, under an odd id of its own', async () => {
    await using pair = await openPair()
    for (const id of [1, 3, 5]) {
      const answer = pair.channel.request('ping', { n: id }, PING)
      const { header, payload } = await pair.peer.next('REQUEST')
      expect(header.id).toBe(id)
      expect(JSON.parse(payload.toString())).toEqual({ method: 'ping', params: { n: id } })
      pair.peer.respond(id, { guestMs: id })
      await expect(answer).resolves.toEqual({ guestMs: id })
    }
  })

  test('may be answered in any order', async () => {
    await using pair = await openPair()
    const answers = [1, 2, 3].map(async () => await pair.channel.request('ping', {}, PING))
    for (const id of [5, 1, 3]) pair.peer.respond(id, { guestMs: id })
    expect(await Promise.all(answers)).toEqual([{ guestMs: 1 }, { guestMs: 3 }, { guestMs: 5 }])
  })

  test('that the guest refuses rejects with the code, its label and where it was made', async () => {
    await using pair = await openPair()
    const answer = pair.channel.request('start', {}, { ...PING, label: 'start python' })
    const { header } = await pair.peer.next('REQUEST')
    pair.peer.refuse(header.id, 'spawn', 'no such file')
    const error: unknown = await answer.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(RequestRefusedError)
    expect(error).toMatchObject({ refusal: 'spawn', message: expect.stringMatching(/start python.*no such file/) })
    expect(error).toHaveProperty('stack', expect.stringContaining('channel.test.ts'))
    expect(pair.channel.isClosed).toBe(false)
  })

  test('whose result has another shape is a broken protocol that names it', async () => {
    await using pair = await openPair()
    const answer = pair.channel.request('ping', {}, { ...PING, label: 'ping 7' })
    const other = pair.channel.request('ping', {}, { ...PING, label: 'ping 8' })
    pair.peer.respond(1, { guestMs: 'soon' })
    await expect(answer).rejects.toMatchObject({ code: 'PROTOCOL', message: expect.stringContaining('ping 7') })
    await expect(other).rejects.toMatchObject({ code: 'PROTOCOL', message: expect.stringContaining('ping 8') })
  })

  test('without an answer closes the channel at its deadline, and all that is open fails with that', async () => {
    await using pair = await openPair()
    const patient = pair.channel.request('ping', {}, PING)
    const answer = pair.channel.request('ping', {}, { ...PING, label: 'impatient', timeoutMs: 20 })
    await expect(answer).rejects.toMatchObject({ code: 'VM_LOST', details: { dispatched: true } })
    await expect(patient).rejects.toMatchObject({ message: expect.stringContaining('impatient') })
    await expect(pair.channel.closed).resolves.toEqual({ kind: 'unresponsive', label: 'impatient', waitedMs: 20 })
  })

  test('with parameters over the limit is refused before it is sent', async () => {
    await using pair = await openPair()
    const answer = pair.channel.request('run', { code: 'x'.repeat(16_777_216) }, PING)
    await expect(answer).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(pair.channel.isClosed).toBe(false)
  })

  test('is refused when too many are under way', async () => {
    await using pair = await openPair()
    const open = Array.from({ length: 1_024 }, async () => await pair.channel.request('ping', {}, PING))
    await expect(pair.channel.request('ping', {}, PING)).rejects.toMatchObject({ code: 'CAPACITY', retryable: true })
    for (let index = 0; index < 1_024; index += 1) pair.peer.respond(2 * index + 1, { guestMs: index })
    expect(await Promise.all(open)).toHaveLength(1_024)
  })
})

describe('events', () => {
  const event = z.object({ event: z.literal('result'), data: z.string() })

  test('arrive in order, before the response', async () => {
    await using pair = await openPair()
    const seen: string[] = []
    const onEvent = ({ data }: z.infer<typeof event>): void => {
      seen.push(data)
    }
    const exchange = pair.channel.exchange('run', {}, { label: 'run', event, onEvent, result: ANY })
    await pair.peer.next('REQUEST')
    for (const data of ['1', '2', '3']) pair.peer.event(1, { event: 'result', data })
    pair.peer.respond(1)
    await exchange.response
    expect(seen).toEqual(['1', '2', '3'])
  })

  test('break the protocol when there are too many, when they have another shape, or where there are none', async () => {
    const cases = [
      { options: { event, maxEvents: 1 }, body: { event: 'result', data: '' }, rule: 'too-many-events' },
      { options: { event }, body: { event: 'other' }, rule: 'json' },
      { options: {}, body: { event: 'result', data: '' }, rule: 'no-event' },
    ]
    for (const { options, body, rule } of cases) {
      await using pair = await openPair()
      const exchange = pair.channel.exchange('run', {}, { label: 'run', result: ANY, ...options })
      await pair.peer.next('REQUEST')
      pair.peer.event(1, body)
      pair.peer.event(1, body)
      await expect(exchange.response).rejects.toMatchObject({ details: { rule } })
    }
  })

  test('whose callback throws fail the exchange and nothing else', async () => {
    await using pair = await openPair()
    const failure = new Error('callback')
    const onEvent = (): void => {
      throw failure
    }
    const exchange = pair.channel.exchange('run', {}, { label: 'run', event, onEvent, result: ANY })
    await pair.peer.next('REQUEST')
    pair.peer.event(1, { event: 'result', data: '' })
    await expect(exchange.response).rejects.toBe(failure)
    await pair.peer.next('CANCEL')
    pair.peer.event(1, { event: 'result', data: '' })
    pair.peer.respond(1)
    await exchange.settled
    const answer = pair.channel.request('ping', {}, PING)
    pair.peer.respond(3, { guestMs: 1 })
    await answer
  })
})
