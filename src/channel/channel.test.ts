import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { openPair } from '../../test/channel/open-pair.ts'

const pong = z.object({ guestMs: z.number() })

describe('a request', () => {
  test('gives the result that the guest sent', async () => {
    await using pair = await openPair()
    const answer = pair.channel.request('ping', {}, { label: 'ping', timeoutMs: 5_000, result: pong })
    const { header, payload } = await pair.peer.next('REQUEST')
    expect(JSON.parse(payload.toString())).toEqual({ method: 'ping', params: {} })
    pair.peer.respond(header.id, { guestMs: 3 })
    await expect(answer).resolves.toEqual({ guestMs: 3 })
  })
})

describe('a stream', () => {
  test('carries what the guest sent, then its end', async () => {
    await using pair = await openPair()
    const exchange = pair.channel.exchange('run', {}, { label: 'run', receive: [1], result: z.object({}) })
    const { header } = await pair.peer.next('REQUEST')
    for (let index = 0; index < 4; index += 1) pair.peer.data(header.id, 1, Buffer.alloc(65_536, index))
    pair.peer.end(header.id, 1)
    pair.peer.respond(header.id)
    let total = 0
    for await (const chunk of exchange.readable(1)) total += chunk.byteLength
    expect(total).toBe(262_144)
    await exchange.response
  })
})
