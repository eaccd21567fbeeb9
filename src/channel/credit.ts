import type { Rule } from './violation.ts'
import { HIGHEST_CREDIT_BYTES, INITIAL_CREDIT_BYTES } from './wire.ts'

/**
 * A grant is sent once the consumer has taken this part of the window, so that a sender whose consumer keeps up never
 * waits, and CREDIT frames stay rare.
 */
const GRANT_SHARE = 1 / 4

/** The receiver's book of one stream. */
export interface ReceiveAccount {
  /** Bytes that the sender may still send. */
  window: number
  /** Bytes taken by the consumer and not yet granted again. */
  owed: number
  /** Bytes that the next grant adds to the window. */
  wider: number
  /** Bytes owed that are worth a grant. */
  portion: number
  /** Bytes received since the stream began. */
  received: number
  /** Bytes that the stream may carry in all. */
  readonly limit: number
}

/** @param limit bytes that the stream may carry in all; Infinity for any number */
export function openReceiveAccount(limit: number): ReceiveAccount {
  const portion = INITIAL_CREDIT_BYTES * GRANT_SHARE
  return { window: INITIAL_CREDIT_BYTES, owed: 0, wider: 0, portion, received: 0, limit }
}

/** From the next grant on the window is `bytes` wide: until the consumer has taken something, there is no use for that. */
export function widenWindow(account: ReceiveAccount, bytes: number): void {
  account.wider = Math.max(0, bytes - INITIAL_CREDIT_BYTES)
}

/** Books a DATA frame of `bytes`; says which rule it breaks, and then books nothing. */
export function bookReceived(account: ReceiveAccount, bytes: number): Rule | undefined {
  if (bytes > account.window) return 'credit'
  if (account.received + bytes > account.limit) return 'limit'
  account.window -= bytes
  account.received += bytes
  return undefined
}

/** Books `bytes` as taken by the consumer and returns what to grant now: 0 while it is not worth a frame. */
export function bookConsumed(account: ReceiveAccount, bytes: number): number {
  account.owed += bytes
  if (account.owed < account.portion) return 0
  const grant = account.owed + account.wider
  account.portion += account.wider * GRANT_SHARE
  account.owed = 0
  account.wider = 0
  account.window += grant
  return grant
}

/** The sender's book of one stream. */
export interface SendAccount {
  /** Bytes that may be sent now. */
  credit: number
}

export function openSendAccount(): SendAccount {
  return { credit: INITIAL_CREDIT_BYTES }
}

/** Books a CREDIT frame; says which rule it breaks, and then books nothing. */
export function bookGrant(account: SendAccount, bytes: number): Rule | undefined {
  if (bytes === 0 || account.credit + bytes > HIGHEST_CREDIT_BYTES) return 'credit'
  account.credit += bytes
  return undefined
}

/** Takes credit for at most `wanted` bytes and returns how many may be sent. */
export function spendCredit(account: SendAccount, wanted: number): number {
  const spent = Math.min(wanted, account.credit)
  account.credit -= spent
  return spent
}
