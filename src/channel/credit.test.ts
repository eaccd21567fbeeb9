import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bookConsumed, bookGrant, bookReceived, openReceiveAccount, openSendAccount, spendCredit } from './credit.ts'
import { HIGHEST_CREDIT_BYTES, INITIAL_CREDIT_BYTES } from './wire.ts'

/** What happens to one stream: the sender wants to send, the consumer takes, the grants under way arrive. */
const action = fc.oneof(
  fc.record({ kind: fc.constant('send' as const), bytes: fc.integer({ min: 1, max: 400_000 }) }),
  fc.record({ kind: fc.constant('take' as const), bytes: fc.integer({ min: 1, max: 400_000 }) }),
  fc.record({ kind: fc.constant('deliver' as const), bytes: fc.constant(0) }),
)

describe('credit', () => {
  test('is never exceeded, and never lost, under any schedule', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (schedule) => {
        const sender = openSendAccount()
        const receiver = openReceiveAccount(Infinity)
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
          expect(waiting).toBeLessThanOrEqual(INITIAL_CREDIT_BYTES)
          expect(sender.credit + underWay).toBe(receiver.window)
          expect(receiver.window + waiting + receiver.owed).toBe(INITIAL_CREDIT_BYTES)
        }
      }),
    )
  })

  test('always lets a sender go on whose consumer has taken everything', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 65_536 }), { maxLength: 100 }), (sizes) => {
        const receiver = openReceiveAccount(Infinity)
        for (const size of sizes) {
          expect(bookReceived(receiver, size)).toBeUndefined()
          bookConsumed(receiver, size)
          expect(receiver.window).toBeGreaterThan(INITIAL_CREDIT_BYTES / 2)
        }
      }),
    )
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
