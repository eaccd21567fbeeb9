import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { execProgram, signalProgram, STREAMS, type Vm } from '../../src/vm/index.ts'
import { launchTestVm } from './launched-vm.ts'

const UNLIMITED = { env: {}, timeoutMs: 0, stdoutLimit: 0, stderrLimit: 0 }
const STREAM_BYTES = 100_000_000

describe('the channel of a real VM', () => {
  let vm: Vm
  beforeAll(async () => {
    vm = await launchTestVm()
  })
  afterAll(async () => await vm.close())

  it('does not delay a kill by a 100 MB stream beside it', async () => {
    const sleeper = execProgram(vm.channel, { ...UNLIMITED, argv: ['/bin/sleep', '600'] })
    const stream = execProgram(vm.channel, {
      ...UNLIMITED,
      argv: ['/usr/bin/head', '-c', String(STREAM_BYTES), '/dev/zero'],
    })
    let received = 0
    let killedAt: Promise<number> | undefined
    for await (const chunk of stream.readable(STREAMS.stdout)) {
      received += chunk.byteLength
      if (killedAt === undefined && received > STREAM_BYTES / 10) {
        const askedAt = received
        killedAt = (async () => {
          expect(await signalProgram(vm.channel, sleeper.id, 9)).toBe(true)
          const end = await sleeper.response
          expect(end).toMatchObject({ exitCode: 137, reason: 'signal' })
          return received - askedAt
        })()
      }
    }
    expect((await stream.response).exitCode).toBe(0)
    expect(received).toBe(STREAM_BYTES)
    // Counted in bytes, not in time: what the stream moved while the kill went there and the end came back. The window
    // of one stream is 256 KiB; under emulation the guest needs a few scheduler ticks for the kill itself.
    expect(await killedAt).toBeLessThan(STREAM_BYTES / 10)
  })

  it('does not stall others when a stream is not read', async () => {
    const unread = execProgram(vm.channel, { ...UNLIMITED, argv: ['/usr/bin/head', '-c', '10000000', '/dev/zero'] })
    const other = execProgram(vm.channel, { ...UNLIMITED, argv: ['/bin/echo', 'through'] })
    let text = ''
    for await (const chunk of other.readable(STREAMS.stdout)) text += Buffer.from(chunk).toString()
    expect(text).toBe('through\n')
    unread.cancel()
    let dropped = 0
    for await (const chunk of unread.readable(STREAMS.stdout)) dropped += chunk.byteLength
    expect((await unread.response).reason).toBe('cancelled')
    expect(dropped).toBeLessThan(10_000_000)
  })

  it('carries stdin to a program and its end', async () => {
    const cat = execProgram(vm.channel, { ...UNLIMITED, argv: ['/bin/cat'] })
    const stdin = cat.writable(STREAMS.stdin)
    const sent = Buffer.alloc(1_000_000, 'abcdefg\n')
    const write = (async () => {
      for (let offset = 0; offset < sent.byteLength; offset += 50_000)
        await stdin.write(sent.subarray(offset, offset + 50_000))
      stdin.end()
    })()
    const chunks: Buffer[] = []
    for await (const chunk of cat.readable(STREAMS.stdout)) chunks.push(Buffer.from(chunk))
    await write
    expect(Buffer.concat(chunks).equals(sent)).toBe(true)
    expect((await cat.response).exitCode).toBe(0)
  })
})
