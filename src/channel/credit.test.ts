import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  bookConsumed,
  bookGrant,
  bookReceived,
  openReceiveAccount,
  openSendAccount,
  spendCredit,
  widenWindow,
} from './credit.ts'
import { HIGHEST_CREDIT_BYTES, INITIAL_CREDIT_BYTES } from './wire.ts'

/** What happens to one stream: the sender wants to send, the consumer takes, the grants under way arrive. */
const action = fc.oneof(
  fc.record({ kind: fc.constant('send' as const), bytes: fc.integer({ min: 1, max: 400_000 }) }),
  fc.record({ kind: fc.constant('take' as const), bytes: fc.integer({ min: 1, max: 400_000 }) }),
  fc.record({ kind: fc.constant('deliver' as const), bytes: fc.constant(0) }),
)

/** How wide a window is meant to be: as it opens, or wider. */
const window = fc.constantFrom(INITIAL_CREDIT_BYTES, 300_001, 1_048_576)

describe('credit', () => {
  test('is never exceeded, and never lost, under any schedule', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), window, (schedule, wanted) => {
        const sender = openSendAccount()
        const receiver = openReceiveAccount(Infinity)
        widenWindow(receiver, wanted)
        const grants: number[] = []
        let waiting = 0
        for (const { kind, bytes } of schedule) {
          if (kind === 'send') {
            const sent = spendCredit(sender, bytes)
            if (sent > 0) expect(bookReceived(receiver, sent)).toBeUndefined()
            waiting += sent
          } else if (kind === 'take') {
            const taken = Math.min(bytes, waiting)
            waiting -= taken
            const grant = bookConsumed(receiver, taken)
            if (grant > 0) grants.push(grant)
          } else {
            const grant = grants.shift()
            if (grant !== undefined) expect(bookGrant(sender, grant)).toBeUndefined()
          }
          const underWay = grants.reduce((sum, each) => sum + each, 0)
          expect(waiting).toBeLessThanOrEqual(wanted)
          expect(sender.credit + underWay).toBe(receiver.window)
          expect(receiver.window + waiting + receiver.owed + receiver.wider).toBe(wanted)
        }
      }),
    )
  })

  test('always lets a sender go on whose consumer has taken everything', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 65_536 }), { maxLength: 100 }), window, (sizes, wanted) => {
        const receiver = openReceiveAccount(Infinity)
        widenWindow(receiver, wanted)
        for (const size of sizes) {
          expect(bookReceived(receiver, size)).toBeUndefined()
          bookConsumed(receiver, size)
          expect(receiver.window).toBeGreaterThan(INITIAL_CREDIT_BYTES / 2)
        }
      }),
    )
  })

  test('a window is widened by its first grant, and not before', () => {
    const receiver = openReceiveAccount(Infinity)
    widenWindow(receiver, 1_048_576)
    expect(receiver.window).toBe(INITIAL_CREDIT_BYTES)
    expect(bookReceived(receiver, 100_000)).toBeUndefined()
    expect(bookConsumed(receiver, 10_000)).toBe(0)
    expect(bookConsumed(receiver, 90_000)).toBe(100_000 + 1_048_576 - INITIAL_CREDIT_BYTES)
    expect(receiver.window).toBe(1_048_576)
    // From here on a grant is worth a quarter of the wide window.
    expect(bookReceived(receiver, 300_000)).toBeUndefined()
    expect(bookConsumed(receiver, 262_143)).toBe(0)
    expect(bookConsumed(receiver, 1)).toBe(262_144)
  })

  test('refuses what goes beyond the window or the limit, and then books nothing', () => {
    const receiver = openReceiveAccount(10)
    expect(bookReceived(receiver, INITIAL_CREDIT_BYTES + 1)).toBe('credit')
    expect(bookReceived(receiver, 11)).toBe('limit')
    expect(bookReceived(receiver, 10)).toBeUndefined()
    expect(bookReceived(receiver, 1)).toBe('limit')
    expect(receiver).toMatchObject({ window: INITIAL_CREDIT_BYTES - 10, received: 10 })
  })

  test('refuses a grant of nothing and one that cannot be held', () => {
    const sender = openSendAccount()
    expect(bookGrant(sender, 0)).toBe('credit')
    expect(bookGrant(sender, HIGHEST_CREDIT_BYTES - INITIAL_CREDIT_BYTES + 1)).toBe('credit')
    expect(bookGrant(sender, HIGHEST_CREDIT_BYTES - INITIAL_CREDIT_BYTES)).toBeUndefined()
    expect(sender.credit).toBe(HIGHEST_CREDIT_BYTES)
  })
})
