import { setImmediate } from 'node:timers/promises'
import { expect } from 'vitest'
import { z } from 'zod'
import { ProtocolError } from '../../src/base/index.ts'
import { encodeEmpty, encodeJson } from '../../src/channel/frame.ts'
import { FrameDecoder } from '../../src/channel/frame-decoder.ts'
import { checkGuest, parseEvent, parseHello, parseRequest, parseResponse } from '../../src/channel/guest-json.ts'
import type { GuestExchange } from '../../src/channel/guest-methods.ts'
import { INITIAL_CREDIT_BYTES } from '../../src/channel/wire.ts'
import { openPair, type Pair } from './open-pair.ts'
import { PORT_THAT_WAITS, servedMethods } from './served-methods.ts'
import { bytesOfPart, VECTORS } from './vectors.ts'

/** Mutated vectors, which know the frames' structure and the ids that are open: against the decoder, and against whole channels. */
export interface Fuzzing {
  readonly frames: number
  /** Repeats a run. */
  readonly seed: number
  /** Generous for one frame under a loaded machine: it only has to tell a hang from work. */
  readonly timeoutMs: number
}

/** A channel costs a socket pair: it takes this share of the frames, the bare decoder the rest. */
const CHANNEL_SHARE = 0.03

/** What EXEC_SANDBOX_FUZZ_FRAMES and EXEC_SANDBOX_FUZZ_SEED say; printed, so that every run can be repeated. */
export function fuzzing(frames: number): Fuzzing {
  const chosen = {
    frames: numberFrom('EXEC_SANDBOX_FUZZ_FRAMES', frames),
    seed: numberFrom('EXEC_SANDBOX_FUZZ_SEED', Math.floor(Math.random() * 0xffff_ffff)),
  }
  console.log(`fuzz: EXEC_SANDBOX_FUZZ_SEED=${chosen.seed} EXEC_SANDBOX_FUZZ_FRAMES=${chosen.frames}`)
  return { ...chosen, timeoutMs: 60_000 + chosen.frames }
}

function numberFrom(name: string, otherwise: number): number {
  const value = process.env[name]
  if (value === undefined || value === '') return otherwise
  const number = Number(value)
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`${name}: expected a whole number, got "${value}"`)
  return number
}

/** mulberry32: small, seedable, and good enough to choose mutations. */
class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** 0 … below − 1. */
  roll(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }

  pick<T>(from: readonly T[]): T {
    const picked = from[this.roll(from.length)]
    if (picked === undefined) throw new RangeError('nothing to pick from')
    return picked
  }
}

const VALID: readonly Buffer[] = VECTORS.frames
  .filter(({ decodedBy }) => decodedBy.includes('host'))
  .map(({ hex }) => Buffer.from(hex, 'hex'))

const BROKEN: readonly Buffer[] = [
  ...VECTORS.rejections.map(({ hex }) => Buffer.from(hex, 'hex')),
  ...VECTORS.conversations.flatMap(({ parts }) => parts.map((part) => bytesOfPart({ ...part, times: 1 }))),
]

/** Ids that a channel under test has open. */
const ODD = [1, 3, 5]
/** The last is new to it. */
const EVEN = [2, 4, 6, 8]

/** Values at the borders of the header's fields. */
const EDGES = [0, 1, 2, 3, 4, 9, 15, 16, 127, 128, 255]

function mutate(dice: Dice): Buffer {
  const bytes = Buffer.from(dice.pick(dice.roll(4) > 0 ? VALID : BROKEN))
  // Ids of exchanges that a channel under test has open, so that most frames get past the look-up.
  if (dice.roll(3) > 0 && bytes.byteLength >= 12)
    bytes.writeUInt32LE(dice.pick(bytes[4] !== undefined && bytes[4] % 2 === 0 ? EVEN : ODD), 4)
  const times = Math.max(0, dice.roll(6) - 2)
  for (let count = 0; count < times; count += 1) {
    const at = dice.roll(Math.max(1, bytes.byteLength))
    if (dice.roll(2) === 0) bytes[at] = dice.pick(EDGES)
    else bytes[at] = (bytes[at] ?? 0) ^ (1 << dice.roll(8))
  }
  if (dice.roll(40) === 0) return bytes.subarray(0, dice.roll(bytes.byteLength + 1))
  return bytes
}

function isProtocolError(error: unknown): boolean {
  return error instanceof ProtocolError
}

/** The decoder and the JSON funnel give a frame or a ProtocolError, and nothing else. */
export function fuzzDecoder({ frames, seed }: Fuzzing): void {
  const dice = new Dice(seed)
  const counts = { decoded: 0, refused: 0 }
  const parsers = { HELLO: parseHello, REQUEST: parseRequest, RESPONSE: parseResponse, EVENT: parseEvent } as const
  const makeDecoder = (): FrameDecoder =>
    new FrameDecoder('guest', {
      frame: ({ type, length }, payload) => {
        expect(payload.byteLength).toBe(length)
        counts.decoded += 1
        if (type === 'HELLO' || type === 'REQUEST' || type === 'RESPONSE' || type === 'EVENT') {
          checkGuest(z.looseObject({}), parsers[type](payload), type)
        }
      },
      data: ({ length }) => {
        if (length < 1 || length > 65_536) throw new Error(`DATA of ${length} bytes got through`)
        counts.decoded += 1
      },
      dataBytes: (piece) => {
        if (piece.byteLength === 0) throw new Error('an empty piece')
      },
    })
  let decoder = makeDecoder()
  for (let frame = 0; frame < frames; frame += 1) {
    const bytes = mutate(dice)
    const cut = dice.roll(bytes.byteLength + 1)
    try {
      decoder.push(bytes.subarray(0, cut))
      decoder.push(bytes.subarray(cut))
      // A longer length than was sent would swallow thousands of frames to come: some of them are enough.
      if (!decoder.atBorder && dice.roll(4) === 0) decoder = makeDecoder()
    } catch (error) {
      if (!isProtocolError(error)) throw new Error(`frame ${frame} of seed ${seed}`, { cause: error })
      counts.refused += 1
      decoder = makeDecoder()
    }
  }
  // A fuzzer that only ever gets refused, or never, tests nothing.
  console.log(`fuzz: ${JSON.stringify(counts)}`)
  expect(counts.decoded).toBeGreaterThan(frames / 10)
  expect(counts.refused).toBeGreaterThan(frames / 10)
}

/** Serves the guest by echo, and has it begin three exchanges: one that is connected, one that waits, one that it cancels. */
async function serve({ channel, peer }: Pair): Promise<{ readonly over: () => boolean }> {
  let running = 0
  const echo = async ({ readable, writable }: Echo): Promise<void> => {
    running += 1
    try {
      for await (const chunk of readable) if (!(await writable.write(chunk))) return
    } finally {
      running -= 1
    }
  }
  channel.serve(
    servedMethods(async (exchange) => await echo({ readable: exchange.readable(0), writable: exchange.writable(1) })),
  )
  const web = { address: '10.1.2.3', port: 443 }
  peer.request(2, 'connect', web)
  peer.request(4, 'connect', { ...web, port: PORT_THAT_WAITS })
  peer.request(6, 'connect', web)
  for (let count = 0; count < 2; count += 1) await peer.next('EVENT')
  peer.cancel(6)
  return { over: () => running === 0 }
}

interface Echo {
  readonly readable: AsyncIterable<Uint8Array>
  readonly writable: ReturnType<GuestExchange['writable']>
}

/** Opens three exchanges, of which one is read, one is not and one has been aborted. */
function occupy({ channel }: Pair): { readonly settled: Promise<unknown>; readonly abort: () => void } {
  const any = z.looseObject({})
  const controller = new AbortController()
  const options = { label: 'fuzz', receive: [1, 2], send: [0], event: any, result: any }
  const exchanges = [{}, {}, { signal: controller.signal }].map((more) =>
    channel.exchange('exec', {}, { ...options, ...more }),
  )
  const read = async (stream: AsyncIterable<Uint8Array> | undefined): Promise<number> => {
    let total = 0
    for await (const chunk of stream ?? []) total += chunk.byteLength
    return total
  }
  const readers = [1, 2].map(async (stream) => await read(exchanges[0]?.readable(stream)))
  const writers = exchanges.map(async (each) => await each.writable(0).write(Buffer.alloc(INITIAL_CREDIT_BYTES + 1)))
  const settled = Promise.allSettled([...readers, ...writers, ...exchanges.map(async (each) => await each.response)])
  return { settled, abort: () => controller.abort() }
}

/** Whole channels end in a conversation or a ProtocolError; nothing hangs, and memory is bounded. */
export async function fuzzChannels({ frames, seed }: Fuzzing): Promise<void> {
  const count = Math.max(1, Math.floor(frames * CHANNEL_SHARE))
  const dice = new Dice(seed + 1)
  const ends = new Map<string, number>()
  const memory = process.memoryUsage().arrayBuffers
  for (let frame = 0; frame < count; ) {
    await using pair = await openPair()
    const { settled, abort } = occupy(pair)
    for (let index = 0; index < 3; index += 1) await pair.peer.next('REQUEST')
    abort()
    const served = await serve(pair)
    // Valid frames first, so that what follows meets every state; then mutated ones until the channel ends.
    if (dice.roll(2) === 0) pair.peer.send(encodeEmpty('END', dice.pick(ODD), dice.pick([1, 2])))
    if (dice.roll(2) === 0) pair.peer.send(encodeJson('EVENT', dice.pick(ODD), { event: 'x' }))
    if (dice.roll(2) === 0) pair.peer.send(encodeEmpty('END', 2, 0))
    const length = 1 + dice.roll(12)
    const bytes: Buffer[] = []
    for (let index = 0; index < length; index += 1) bytes.push(mutate(dice))
    frame += length
    pair.peer.send(Buffer.concat(bytes))
    pair.peer.socket.end()
    const end = await pair.channel.closed
    ends.set(end.kind, (ends.get(end.kind) ?? 0) + 1)
    // Nothing that was open is left hanging.
    await settled
    await setImmediate()
    expect(served.over()).toBe(true)
  }
  expect([...ends.keys()].toSorted()).toEqual(['peer-closed', 'protocol-error'])
  expect(process.memoryUsage().arrayBuffers - memory).toBeLessThan(100_000_000)
}
