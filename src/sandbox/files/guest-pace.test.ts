import { describe, expect, it } from 'vitest'
import { GuestPace, STALL_TIMEOUT_MS } from './guest-pace.ts'

describe('the pace of a transfer', () => {
  it('B06: a guest that drips a byte at a time is given up, although it never stalls', () => {
    const pace = new GuestPace()
    const dripMs = STALL_TIMEOUT_MS - 1
    let drips = 0
    for (; pace.leftMs >= dripMs && drips < 1_000; drips += 1) {
      pace.waited(dripMs)
      pace.moved(1)
    }
    expect(drips).toBeGreaterThan(1)
    expect(drips * dripMs).toBeLessThanOrEqual(600_000)
  })

  it('a guest that moves content has all the time it needs', () => {
    const pace = new GuestPace()
    for (let second = 0; second < 100_000; second += 1) {
      pace.waited(1_000)
      pace.moved(100_000)
    }
    expect(pace.leftMs).toBe(STALL_TIMEOUT_MS)
  })

  it('a guest that stands still has its time for one move, and no more', () => {
    const pace = new GuestPace()
    pace.moved(10_000_000_000)
    expect(pace.leftMs).toBe(STALL_TIMEOUT_MS)
  })
})
