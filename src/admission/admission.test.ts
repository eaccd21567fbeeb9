import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createLogger } from '../base/index.ts'
import { Admission, type HostMeasurement, type Reservation } from './admission.ts'
import { OVERHEAD_MB } from './budget.ts'

const MIB = 2 ** 20
const rules = { overcommit: { memory: 1, cpu: 1 }, reserve: { memory: 0, cpu: 0 } }
const small = { memoryMb: 100, cpus: 1 }
const soon = { timeoutMs: 1000 }

/** A host with three processors and memory for `vms` small VMs, that a test may change. */
function hostFor(vms: number): { -readonly [K in keyof HostMeasurement]: HostMeasurement[K] } & { times: number } {
  const memoryBytes = vms * (small.memoryMb + OVERHEAD_MB) * MIB
  return { memoryBytes, memoryAvailableBytes: memoryBytes, cpus: 3, pressurePercent: 0, times: 0 }
}

function admissionOn(host: ReturnType<typeof hostFor>, log: string[] = []): Admission {
  const logger = createLogger('info', (line) => log.push(line))
  return new Admission({ ...rules, logger }, () => {
    host.times += 1
    return { ...host }
  })
}

/** What became of a promise so far; asked after everything that is due has run. */
function follow<T>(promise: Promise<T>): { state: 'waiting' | 'done' | 'failed'; value?: T; error?: unknown } {
  const seen: ReturnType<typeof follow<T>> = { state: 'waiting' }
  promise.then(
    (value) => Object.assign(seen, { state: 'done', value }),
    (error: unknown) => Object.assign(seen, { state: 'failed', error }),
  )
  return seen
}

const due = async (): Promise<unknown> => await vi.advanceTimersByTimeAsync(0)

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  const timers = vi.getTimerCount()
  vi.useRealTimers()
  if (timers > 0) throw new Error(`expected that no timer is left behind, found ${timers}`)
})

describe('admit', () => {
  it('measures nothing before the first call, and once for a burst', async () => {
    const host = hostFor(50)
    const admission = admissionOn(host)
    expect(host.times).toBe(0)
    const all = Array.from({ length: 50 }, async () => await admission.admit(small, soon))
    expect(host.times).toBe(1)
    admission.close()
    await Promise.allSettled(all)
  })

  it('gives each the turn in which it came, when one before it is released', async () => {
    const admission = admissionOn(hostFor(10))
    const held = await Promise.all([1, 2, 3].map(async () => await admission.admit(small, soon)))
    const fourth = follow(admission.admit(small, soon))
    const fifth = follow(admission.admit(small, soon))
    await due()
    expect([fourth.state, fifth.state]).toEqual(['waiting', 'waiting'])
    held[1]?.release()
    await due()
    expect([fourth.state, fifth.state]).toEqual(['done', 'waiting'])
    held[1]?.release()
    await due()
    expect(fifth.state).toBe('waiting')
    for (const reservation of held) reservation.release()
    await due()
    expect(fifth.state).toBe('done')
    fourth.value?.release()
    fifth.value?.release()
    expect(admission.stats()).toMatchObject({
      inUse: { memoryMb: 0, cpus: 0, vms: 0, working: 0 },
      waiting: 0,
      admitted: 5,
      waits: { count: 5 },
    })
  })

  it('refuses at once what is larger than the host, and tells what would fit', async () => {
    const admission = admissionOn(hostFor(2))
    const error = await admission.admit({ memoryMb: 500, cpus: 1 }, soon).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'CAPACITY', retryable: false, details: { waitedMs: 0 } })
    expect(String(error)).toContain('Expected at most 360 MiB')
  })

  it('fails after its time, says why, and leaves its place to others', async () => {
    const admission = admissionOn(hostFor(2))
    const first = await admission.admit({ memoryMb: 300, cpus: 1 }, soon)
    const large = follow(admission.admit({ memoryMb: 300, cpus: 1 }, { timeoutMs: 200 }))
    const behind = follow(admission.admit({ memoryMb: 10, cpus: 1 }, { timeoutMs: 900 }))
    await vi.advanceTimersByTimeAsync(199)
    expect([large.state, behind.state]).toEqual(['waiting', 'waiting'])
    await vi.advanceTimersByTimeAsync(1)
    expect(large.error).toMatchObject({ code: 'CAPACITY', retryable: true, details: { waitedMs: 200 } })
    expect(String(large.error)).toContain('460 of 520 MiB are given out')
    expect(behind.state).toBe('waiting')
    first.release()
    await due()
    expect(behind.state).toBe('done')
    behind.value?.release()
    expect(admission.stats()).toMatchObject({ refused: 1, waiting: 0, inUse: { vms: 0 } })
  })

  it('ends with its signal: before, while it waits, and in the moment of the grant', async () => {
    const admission = admissionOn(hostFor(1))
    const aborted = AbortSignal.abort('too late')
    await expect(admission.admit(small, { ...soon, signal: aborted })).rejects.toMatchObject({ code: 'ABORTED' })

    const held = await admission.admit(small, soon)
    const waiting = new AbortController()
    const second = follow(admission.admit(small, { ...soon, signal: waiting.signal }))
    waiting.abort('enough')
    await due()
    expect(second.error).toMatchObject({ code: 'ABORTED', cause: 'enough' })
    expect(admission.stats().waiting).toBe(0)

    const moment = new AbortController()
    const third = follow(admission.admit(small, { ...soon, signal: moment.signal }))
    held.release()
    moment.abort()
    await due()
    expect(third.error).toMatchObject({ code: 'ABORTED' })
    expect(admission.stats().inUse.vms).toBe(0)
  })

  it('lets those behind go on at once when the first of the line gives up', async () => {
    const admission = admissionOn(hostFor(2))
    const held = await admission.admit(small, soon)
    const controller = new AbortController()
    const large = follow(admission.admit({ memoryMb: 300, cpus: 1 }, { ...soon, signal: controller.signal }))
    const behind = follow(admission.admit(small, soon))
    await due()
    expect(behind.state).toBe('waiting')
    controller.abort()
    await due()
    expect([large.state, behind.state]).toEqual(['failed', 'done'])
    held.release()
    behind.value?.release()
  })

  it('leaves no listener on the signal', async () => {
    const admission = admissionOn(hostFor(1))
    const { signal } = new AbortController()
    const held = await admission.admit(small, { ...soon, signal })
    const late = follow(admission.admit(small, { timeoutMs: 10, signal }))
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(10)
    expect(late.state).toBe('failed')
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    held.release()
  })

  it('finds at the last moment what others have freed', async () => {
    const host = hostFor(10)
    const admission = admissionOn(host)
    const first = await admission.admit(small, soon)
    host.memoryAvailableBytes = 0
    await vi.advanceTimersByTimeAsync(200)
    const second = follow(admission.admit(small, { timeoutMs: 300 }))
    await vi.advanceTimersByTimeAsync(10)
    expect(second.state).toBe('waiting')
    host.memoryAvailableBytes = host.memoryBytes
    await vi.advanceTimersByTimeAsync(290)
    expect(second.state).toBe('done')
    first.release()
    second.value?.release()
  })

  it('counts a VM that went idle until it shows in a measurement', async () => {
    const host = hostFor(2)
    const admission = admissionOn(host)
    const first = await admission.admit(small, soon)
    const second = await admission.admit(small, soon)
    second.release()
    first.idle()
    // The host knows nothing of it yet: memory for two, of which one may have been taken since.
    host.memoryAvailableBytes = host.memoryBytes / 2 + 1
    const third = follow(admission.admit(small, soon))
    await due()
    expect(third.state).toBe('done')
    expect(host.times).toBe(1)
    third.value?.release()
    host.memoryAvailableBytes = host.memoryBytes / 2
    await vi.advanceTimersByTimeAsync(200)
    const fourth = await admission.admit(small, soon)
    expect(host.times).toBe(2)
    fourth.release()
    first.release()
  })

  it('looks at the host again and again while somebody waits for what others hold', async () => {
    const host = hostFor(10)
    const admission = admissionOn(host)
    const first = await admission.admit(small, soon)
    host.pressurePercent = 80
    await vi.advanceTimersByTimeAsync(200)
    const second = follow(admission.admit(small, { timeoutMs: 10_000 }))
    await vi.advanceTimersByTimeAsync(3000)
    expect(second.state).toBe('waiting')
    host.pressurePercent = 1
    await vi.advanceTimersByTimeAsync(500)
    expect(second.state).toBe('done')
    first.release()
    second.value?.release()
    const { times } = host
    await vi.advanceTimersByTimeAsync(60_000)
    expect(host.times).toBe(times)
  })

  it('keeps nobody waiting by an old measurement', async () => {
    const host = hostFor(10)
    const admission = admissionOn(host)
    const first = await admission.admit(small, soon)
    host.memoryAvailableBytes = 0
    await vi.advanceTimersByTimeAsync(200)
    expect(admission.stats().host.availableMb).toBe(0)
    host.memoryAvailableBytes = host.memoryBytes
    const second = await admission.admit(small, soon)
    first.release()
    second.release()
  })

  it('refuses one who waits when the host shrinks below it', async () => {
    const host = hostFor(2)
    const admission = admissionOn(host)
    const first = await admission.admit({ memoryMb: 300, cpus: 1 }, soon)
    const second = follow(admission.admit({ memoryMb: 300, cpus: 1 }, { timeoutMs: 10_000 }))
    host.memoryBytes /= 2
    await vi.advanceTimersByTimeAsync(500)
    expect(second.error).toMatchObject({ code: 'CAPACITY', retryable: false, details: { waitedMs: 500 } })
    first.release()
  })

  it('goes on by the last measurement when the host cannot be measured any more, and says so once', async () => {
    const log: string[] = []
    const host = hostFor(10)
    let broken = false
    const admission = new Admission({ ...rules, logger: createLogger('warn', (line) => log.push(line)) }, () => {
      if (broken) throw new Error('EIO')
      return host
    })
    const first = await admission.admit(small, soon)
    broken = true
    await vi.advanceTimersByTimeAsync(200)
    const second = await admission.admit(small, soon)
    await vi.advanceTimersByTimeAsync(200)
    expect(admission.stats().inUse.vms).toBe(2)
    expect(log).toHaveLength(1)
    expect(log[0]).toContain('EIO')
    first.release()
    second.release()
  })

  it('has an end to the line', async () => {
    const admission = admissionOn(hostFor(1))
    const held = await admission.admit(small, soon)
    const line = Array.from({ length: 4_000 }, () => follow(admission.admit(small, soon)))
    await expect(admission.admit(small, soon)).rejects.toMatchObject({ code: 'CAPACITY', details: { waitedMs: 0 } })
    admission.close()
    await due()
    expect(line.every(({ state }) => state === 'failed')).toBe(true)
    held.release()
  })
})

describe('a reservation', () => {
  it('gives its processors to others while idle, and waits for them to work again', async () => {
    const admission = admissionOn(hostFor(10))
    const [first, ...others] = await Promise.all([1, 2, 3].map(async () => await admission.admit(small, soon)))
    const fourth = follow(admission.admit(small, soon))
    first?.idle()
    await due()
    expect(fourth.state).toBe('done')
    expect(admission.stats().inUse).toMatchObject({ vms: 4, working: 3, cpus: 3 })
    const again = follow(first?.work(soon) ?? Promise.reject(new Error('no reservation')))
    await due()
    expect(again.state).toBe('waiting')
    others[0]?.idle()
    await due()
    expect(again.state).toBe('done')
    await first?.work(soon)
    expect(admission.stats().inUse).toMatchObject({ vms: 4, working: 3 })
    for (const reservation of [first, ...others, fourth.value]) reservation?.release()
  })

  it('that waits to work fails by time, by signal and by its own end', async () => {
    const admission = admissionOn(hostFor(10))
    const idle = await admission.admit(small, soon)
    idle.idle()
    const busy = await Promise.all([1, 2, 3].map(async () => await admission.admit(small, soon)))
    await expect(async () => {
      const late = idle.work({ timeoutMs: 10 })
      await Promise.all([late, vi.advanceTimersByTimeAsync(10)])
    }).rejects.toMatchObject({ code: 'CAPACITY' })

    const controller = new AbortController()
    const aborted = follow(idle.work({ ...soon, signal: controller.signal }))
    await expect(idle.work(soon)).rejects.toThrow('one work() at a time')
    controller.abort()
    await due()
    expect(aborted.error).toMatchObject({ code: 'ABORTED' })

    const moment = new AbortController()
    const granted = follow(idle.work({ ...soon, signal: moment.signal }))
    busy[0]?.release()
    moment.abort()
    await due()
    expect(granted.error).toMatchObject({ code: 'ABORTED' })
    expect(admission.stats().inUse).toMatchObject({ vms: 3, working: 2 })

    const refill = await admission.admit(small, soon)
    const ended = follow(idle.work(soon))
    idle.release()
    await due()
    expect(ended.error).toMatchObject({ code: 'SANDBOX_CLOSED', details: { reason: 'released' } })
    await expect(idle.work(soon)).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
    idle.idle()
    for (const reservation of [...busy, refill]) reservation.release()
    expect(admission.stats()).toMatchObject({ inUse: { vms: 0, cpus: 0 }, waiting: 0 })
  })

  it('is given back at the end of its scope', async () => {
    const admission = admissionOn(hostFor(2))
    {
      using reservation: Reservation = await admission.admit(small, soon)
      expect(admission.stats().inUse.vms).toBe(1)
      reservation.idle()
    }
    expect(admission.stats().inUse.vms).toBe(0)
  })
})

describe('tryAdmit', () => {
  it('gives a reservation while there is room, measures for it, and never passes those who wait', async () => {
    const host = hostFor(10)
    const admission = admissionOn(host)
    const first = admission.tryAdmit(small)
    expect(first).toBeDefined()
    const others = [admission.tryAdmit(small), admission.tryAdmit(small)]
    expect(admission.tryAdmit(small)).toBeUndefined()
    const waiting = follow(admission.admit({ memoryMb: 10, cpus: 3 }, soon))
    first?.release()
    expect(admission.tryAdmit({ memoryMb: 10, cpus: 1 })).toBeUndefined()
    for (const other of others) other?.release()
    await due()
    expect(waiting.state).toBe('done')
    waiting.value?.release()
  })
})

describe('a VM made ahead of demand', () => {
  it('is charged to the share of such VMs until it serves', async () => {
    const admission = admissionOn(hostFor(4))
    const ahead = [admission.tryAdmit(small), admission.tryAdmit(small)]
    expect(admission.tryAdmit(small)).toBeUndefined()
    await ahead[0]?.work(soon)
    const next = admission.tryAdmit(small)
    expect(next).toBeDefined()
    ahead[1]?.idle()
    await ahead[1]?.work(soon)
    next?.idle()
    const last = admission.tryAdmit(small)
    expect(last).toBeDefined()
    for (const reservation of [...ahead, next, last]) reservation?.release()
  })

  it('leaves that share when it serves somebody without working', () => {
    const admission = admissionOn(hostFor(4))
    const ahead = [admission.tryAdmit(small), admission.tryAdmit(small)]
    for (const reservation of ahead) reservation?.idle()
    expect(admission.tryAdmit(small)).toBeUndefined()
    ahead[0]?.serve()
    expect(admission.tryAdmit(small)).toBeDefined()
    expect(admission.stats().inUse).toMatchObject({ vms: 3, working: 1 })
  })
})

describe('close', () => {
  it('rejects those who wait and those who come, and lets reservations be given back', async () => {
    const admission = admissionOn(hostFor(1))
    const held = await admission.admit(small, soon)
    const waiting = follow(admission.admit(small, soon))
    admission.close()
    admission.close()
    await due()
    expect(waiting.error).toMatchObject({ code: 'SANDBOX_CLOSED', details: { reason: 'closed' } })
    await expect(admission.admit(small, soon)).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
    await expect(held.work(soon)).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' })
    expect(admission.tryAdmit(small)).toBeUndefined()
    held.release()
    expect(admission.stats().inUse.vms).toBe(0)
  })
})

describe('this host', () => {
  it('has room for a VM, as measured for real', async () => {
    const admission = new Admission({
      overcommit: { memory: 5, cpu: 2 },
      reserve: { memory: 0.08, cpu: 0.5 },
      logger: createLogger('silent'),
    })
    const reservation = await admission.admit({ memoryMb: 128, cpus: 1 }, soon)
    expect(admission.stats().inUse).toMatchObject({ memoryMb: 128 + OVERHEAD_MB, cpus: 1, vms: 1, working: 1 })
    reservation.release()
  })
})
