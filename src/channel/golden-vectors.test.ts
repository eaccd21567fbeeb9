import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { collectFrames } from '../../test/channel/collect-frames.ts'
import { connectedSockets } from '../../test/channel/connected-sockets.ts'
import { openPair } from '../../test/channel/open-pair.ts'
import { servedMethods } from '../../test/channel/served-methods.ts'
import { bytesOfPart, type FrameVector, type Talk, VECTORS } from '../../test/channel/vectors.ts'
import { WirePeer } from '../../test/channel/wire-peer.ts'
import { ProtocolError } from '../base/index.ts'
import { Channel } from './channel.ts'
import type { ExchangeOptions } from './exchange-options.ts'
import { encodeCredit, encodeData, encodeEmpty, encodeJson } from './frame.ts'
import { REFUSAL_CODES } from './guest-json.ts'
import { CONNECT_ERROR_CODES, MOST_ADDRESSES, RESOLVE_STATUSES } from './network-requests.ts'
import * as wire from './wire.ts'

const { constants } = VECTORS

function other(side: wire.Side): wire.Side {
  return side === 'host' ? 'guest' : 'host'
}

function thrownBy(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}

test('the constants are those of the vectors', () => {
  expect(wire.GENERATION).toBe(constants.generation)
  expect(wire.MAGIC).toBe(constants.magic)
  expect(wire.HEADER_BYTES).toBe(constants.headerBytes)
  expect(wire.HIGHEST_STREAM).toBe(constants.highestStream)
  expect(wire.HIGHEST_ID).toBe(constants.highestId)
  expect(wire.INITIAL_CREDIT_BYTES).toBe(constants.initialCreditBytes)
  expect(wire.HIGHEST_CREDIT_BYTES).toBe(constants.highestCreditBytes)
  expect(wire.GUEST_JSON_DEPTH).toBe(constants.guestJsonDepth)
  expect(wire.EVEN_JSON_LIMIT_BYTES).toBe(constants.evenJsonLimitBytes)
  expect(wire.MOST_EVEN_EXCHANGES).toBe(constants.mostEvenExchanges)
  expect(REFUSAL_CODES).toEqual(constants.errorCodes)
  expect(CONNECT_ERROR_CODES).toEqual(constants.connectErrorCodes)
  expect(RESOLVE_STATUSES).toEqual(constants.resolveStatuses)
  expect(MOST_ADDRESSES).toBe(constants.mostAddresses)
  expect([...servedMethods().keys()]).toEqual(Object.keys(constants.guestMethods))
  const rules = Object.values(wire.FRAME_RULES)
  expect(rules.filter(({ role }) => role === 'asker').map(({ name }) => name)).toEqual(constants.askerTypes)
  expect(rules.filter(({ role }) => role === 'answerer').map(({ name }) => name)).toEqual(constants.answererTypes)
  const types = Object.values(wire.FRAME_RULES).map(({ name, type, from, limitBytes }) => [
    name,
    { type, from: from.toSorted(), limitBytes },
  ])
  const expected = Object.entries(constants.types).map(([name, each]) => [
    name,
    { ...each, from: each.from.toSorted() },
  ])
  expect(types).toEqual(expected)
})

describe('frames', () => {
  for (const vector of VECTORS.frames) {
    for (const side of vector.decodedBy) {
      test(`the ${side} decodes: ${vector.name}`, () => {
        const { frames, atBorder } = collectFrames(other(side), [Buffer.from(vector.hex, 'hex')])
        expect(atBorder).toBe(true)
        expect(frames).toHaveLength(1)
        const { payload, length, ...rest } = frames[0] ?? { payload: '', length: -1 }
        expect(length).toBe(payload.length / 2)
        const { json, payload: raw, credit, ...fields } = vector.frame
        expect(rest).toEqual(fields)
        const bytes = Buffer.from(payload, 'hex')
        if (json !== undefined) expect(JSON.parse(bytes.toString())).toEqual(json)
        if (raw !== undefined) expect(payload).toBe(raw)
        if (credit !== undefined) expect(bytes.readUInt32LE()).toBe(credit)
      })
    }
    test(`encodes: ${vector.name}`, () => {
      const encoded = encode(vector)
      if (vector.frame.json === undefined) return expect(encoded.toString('hex')).toBe(vector.hex)
      const sender = other(vector.decodedBy[0] ?? 'host')
      const [frame] = collectFrames(sender, [encoded]).frames
      expect(JSON.parse(Buffer.from(frame?.payload ?? '', 'hex').toString())).toEqual(vector.frame.json)
      // All but the length, which depends on white space, is the same.
      expect(encoded.subarray(0, 8).toString('hex')).toBe(vector.hex.slice(0, 16))
    })
  }
})

function encode({ frame }: FrameVector): Buffer {
  const { type, id, stream, json = {}, payload = '', credit = 0 } = frame
  if (type === 'DATA') return encodeData(id, stream, Buffer.from(payload, 'hex'))
  if (type === 'CREDIT') return encodeCredit(id, stream, credit)
  if (type === 'CANCEL' || type === 'END') return encodeEmpty(type, id, stream)
  return encodeJson(type, id, json)
}

describe('headers at the limit', () => {
  for (const vector of VECTORS.headers) {
    for (const side of vector.decodedBy) {
      test(`the ${side} waits for the payload of: ${vector.name}`, () => {
        const { frames, atBorder } = collectFrames(other(side), [Buffer.from(vector.hex, 'hex')])
        expect(frames).toEqual([])
        expect(atBorder).toBe(false)
      })
    }
  }
})

describe('sequences cut anywhere', () => {
  for (const vector of VECTORS.sequences) {
    test(vector.name, () => {
      const sender = other(vector.decodedBy[0] ?? 'host')
      const bytes = Buffer.concat(
        vector.frames.map((name) => {
          const frame = VECTORS.frames.find((each) => each.name === name)
          if (frame === undefined) throw new Error(`no frame named ${name}`)
          return Buffer.from(frame.hex, 'hex')
        }),
      )
      const whole = collectFrames(sender, [bytes]).frames
      expect(whole).toHaveLength(vector.frames.length)
      for (let cut = 0; cut <= bytes.byteLength; cut += 1) {
        expect(collectFrames(sender, [bytes.subarray(0, cut), bytes.subarray(cut)]).frames).toEqual(whole)
      }
      const single = Array.from(bytes, (_, index) => bytes.subarray(index, index + 1))
      expect(collectFrames(sender, single).frames).toEqual(whole)
    })
  }
})

describe('headers that break a rule', () => {
  for (const vector of VECTORS.rejections.filter(({ stage }) => stage === 'header')) {
    for (const side of vector.rejectedBy) {
      test(`the ${side} refuses at once: ${vector.name}`, () => {
        const bytes = Buffer.from(vector.hex, 'hex')
        expect(bytes.byteLength).toBe(12)
        const error = thrownBy(() => collectFrames(other(side), [bytes]))
        expect(error).toBeInstanceOf(ProtocolError)
        expect(error).toHaveProperty('details.rule', vector.rule)
        expect(thrownBy(() => collectFrames(other(side), [bytes.subarray(0, 11)]))).toBeUndefined()
      })
    }
  }
})

/** An exchange that has a stream in each direction and events, so that only the payload can be at fault. */
const ANY: ExchangeOptions<unknown, unknown> = {
  label: 'any',
  receive: [2],
  send: [1],
  event: z.looseObject({}),
  result: z.looseObject({}),
}

describe('payloads that break a rule', () => {
  for (const vector of VECTORS.rejections.filter(({ stage }) => stage === 'payload')) {
    if (!vector.rejectedBy.includes('host')) continue
    const bytes = Buffer.from(vector.hex, 'hex')
    test(`the host refuses: ${vector.name}`, async () => {
      if (bytes[2] === constants.types['HELLO']?.type) {
        const [near, far] = await connectedSockets()
        await using peer = new WirePeer(far)
        peer.send(bytes)
        const opening = Channel.open(near, { helloTimeoutMs: 20_000 })
        await expect(opening).rejects.toMatchObject({ code: 'PROTOCOL', details: { rule: vector.rule } })
        return
      }
      await using pair = await openPair()
      const ended = { kind: 'protocol-error', error: { details: { rule: vector.rule } } }
      if (bytes[2] === constants.types['REQUEST']?.type) {
        pair.channel.serve(servedMethods())
        pair.peer.send(bytes)
        await expect(pair.channel.closed).resolves.toMatchObject(ended)
        return
      }
      const exchange = pair.channel.exchange('exec', {}, ANY)
      await pair.peer.next('REQUEST')
      // RESPONSE is looked at after END of the stream only.
      if (bytes[2] === constants.types['RESPONSE']?.type) pair.peer.end(1, 2)
      pair.peer.send(bytes)
      await expect(exchange.response).rejects.toMatchObject({ code: 'PROTOCOL', details: { rule: vector.rule } })
      await expect(pair.channel.closed).resolves.toMatchObject(ended)
    })
  }
})

/** Plays a conversation up to its last part, which `last` plays. */
async function play(talk: Talk, last: (channel: Channel | undefined, peer: WirePeer, part: Buffer) => Promise<void>) {
  const [near, far] = await connectedSockets()
  await using peer = new WirePeer(far)
  const parts = talk.parts.map(bytesOfPart)
  const final = parts.pop() ?? Buffer.alloc(0)
  if (talk.open === null) {
    const opening = Channel.open(near, { helloTimeoutMs: 20_000 })
    peer.send(Buffer.concat([...parts, final]))
    await expect(opening).rejects.toMatchObject({ code: 'PROTOCOL' })
    return
  }
  peer.hello()
  await using channel = await Channel.open(near, { helloTimeoutMs: 20_000 })
  if (talk.serving === true) channel.serve(servedMethods())
  for (const { method } of talk.open) {
    const streams = constants.methods[method] ?? { hostStreams: [], guestStreams: [] }
    channel.exchange(method, {}, { ...ANY, receive: streams.guestStreams, send: streams.hostStreams })
    await peer.next('REQUEST')
  }
  for (const part of parts) {
    peer.send(part)
    await roundTrip(channel, peer)
  }
  await last(channel, peer, final)
}

/** Resolves when the channel has read everything sent before: it answers in order. */
async function roundTrip(channel: Channel, peer: WirePeer): Promise<void> {
  const answer = channel.request('ping', {}, { label: 'ping', timeoutMs: 20_000, result: z.object({}) })
  const { header } = await peer.next('REQUEST')
  peer.respond(header.id)
  await answer
}

describe('conversations', () => {
  for (const talk of VECTORS.conversations.filter(({ rejectedBy }) => rejectedBy === 'host')) {
    test(`the host refuses: ${talk.name}`, async () => {
      await play(talk, async (channel, peer, part) => {
        peer.send(part)
        await expect(channel?.closed).resolves.toMatchObject({
          kind: 'protocol-error',
          error: { details: { rule: talk.rule } },
        })
      })
    })
  }
  for (const talk of VECTORS.tolerated.filter(({ acceptedBy }) => acceptedBy === 'host')) {
    test(`the host accepts: ${talk.name}`, async () => {
      await play(talk, async (channel, peer, part) => {
        peer.send(part)
        if (channel !== undefined) await roundTrip(channel, peer)
        expect(channel?.isClosed).toBe(false)
      })
    })
  }
})
