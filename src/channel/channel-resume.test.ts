import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { connectedSockets } from '../../test/channel/connected-sockets.ts'
import { WirePeer } from '../../test/channel/wire-peer.ts'
import { Channel } from './index.ts'
import { encodeCredit, encodeData, encodeEmpty, encodeJson } from './frame.ts'
import { GENERATION } from './wire.ts'

const RESUMED = { label: 'resume', timeoutMs: 20_000, result: z.object({ guestMs: z.number().min(0) }) }

interface ResumedPair extends AsyncDisposable {
  readonly channel: Channel
  readonly peer: WirePeer
}

/** A channel to a guest that was resumed, and that guest's end of it. */
async function resumedPair(): Promise<ResumedPair> {
  const [near, far] = await connectedSockets()
  const peer = new WirePeer(far)
  const channel = Channel.resume(near)
  return {
    channel,
    peer,
    [Symbol.asyncDispose]: async () => {
      await channel.close()
      await peer[Symbol.asyncDispose]()
    },
  }
}

/** All that a guest might say of its own accord, or of an exchange that was open when its template was saved. */
const UNASKED: readonly (readonly [what: string, bytes: Buffer, rule: string])[] = [
  ['HELLO', encodeJson('HELLO', 0, { generation: GENERATION, agent: 'another' }), 'opening'],
  ['a RESPONSE', encodeJson('RESPONSE', 1, { result: { guestMs: 1 } }), 'not-open'],
  ['an EVENT', encodeJson('EVENT', 1, { event: 'result', data: '1' }), 'not-open'],
  ['DATA', encodeData(1, 1, Buffer.from('x')), 'not-open'],
  ['END', encodeEmpty('END', 1, 1), 'not-open'],
  ['CREDIT', encodeCredit(1, 0, 1), 'not-open'],
  ['a REQUEST of its own', encodeJson('REQUEST', 2, { method: 'connect', params: {} }), 'not-served'],
  ['a REQUEST', encodeJson('REQUEST', 1, { method: 'ping', params: {} }), 'direction'],
  ['WELCOME', encodeJson('WELCOME', 0, { generation: GENERATION }), 'direction'],
]

describe('a channel to a guest that was resumed', () => {
  test('sends its first request at once, without HELLO and WELCOME', async () => {
    await using pair = await resumedPair()
    const answer = pair.channel.request('resume', {}, RESUMED)
    const { header } = await pair.peer.next('REQUEST')
    expect(header.id).toBe(1)
    pair.peer.respond(1, { guestMs: 5 })
    await expect(answer).resolves.toEqual({ guestMs: 5 })
    expect(pair.peer.heard).toEqual([])
    expect(pair.channel.hello).toBeUndefined()
  })

  test.each(UNASKED)('ends when %s comes before the first request', async (_, bytes, rule) => {
    await using pair = await resumedPair()
    pair.peer.send(bytes)
    await expect(pair.channel.closed).resolves.toMatchObject({ kind: 'protocol-error', error: { details: { rule } } })
    await expect(pair.channel.request('resume', {}, RESUMED)).rejects.toMatchObject({ code: 'PROTOCOL' })
  })

  test('ends when HELLO comes in answer to the first request', async () => {
    await using pair = await resumedPair()
    const answer = pair.channel.request('resume', {}, RESUMED)
    await pair.peer.next('REQUEST')
    pair.peer.hello()
    await expect(answer).rejects.toMatchObject({ code: 'PROTOCOL', details: { rule: 'opening' } })
  })

  test.each([{}, { guestMs: -1 }, { guestMs: 'soon' }, { guestMs: null }])(
    'ends when the answer is %o',
    async (result) => {
      await using pair = await resumedPair()
      const answer = pair.channel.request('resume', {}, RESUMED)
      await pair.peer.next('REQUEST')
      pair.peer.respond(1, result)
      await expect(answer).rejects.toMatchObject({ code: 'PROTOCOL' })
      expect(pair.channel.isClosed).toBe(true)
    },
  )

  test('ends when it is answered twice', async () => {
    await using pair = await resumedPair()
    const answer = pair.channel.request('resume', {}, RESUMED)
    await pair.peer.next('REQUEST')
    pair.peer.respond(1, { guestMs: 1 })
    pair.peer.respond(1, { guestMs: 1 })
    await expect(answer).resolves.toEqual({ guestMs: 1 })
    await expect(pair.channel.closed).resolves.toMatchObject({ kind: 'protocol-error' })
  })
})
