/**
 * The life of an exchange:
 *
 * ```text
 *   queued ── REQUEST handed to the socket ──▶ open ── cancel ──▶ cancelling ─┐
 *     │                                         │                     │       │
 *     │ abort: REQUEST                          │ abort               │ abort │ RESPONSE, or the
 *     │ taken back                              ▼                     ▼       │ channel ended
 *     │                                      draining ◀───────────────┘       │
 *     ▼                                         │  RESPONSE, or channel ended ▼
 *   ended ◀─────────────────────────────────────┴──────────────────────────────
 * ```
 *
 * `cancelling`: the guest was asked to end it, the consumer reads on. `draining`: the consumer is gone; what still
 * comes is dropped, with credit, until the guest's RESPONSE.
 */
export type ExchangePhase =
  | { readonly kind: 'queued'; readonly cancelled: boolean }
  | { readonly kind: 'open' }
  | { readonly kind: 'cancelling' }
  | { readonly kind: 'draining' }
  | { readonly kind: 'ended' }

export type ExchangeInput = 'sent' | 'cancel' | 'abort' | 'response' | 'lost'

export interface ExchangeStep {
  readonly phase: ExchangePhase
  /** What to write: CANCEL, nothing, or take the REQUEST back. */
  readonly effect: 'none' | 'send-cancel' | 'withdraw'
}

const ENDED: ExchangePhase = { kind: 'ended' }

export const FIRST_PHASE: ExchangePhase = { kind: 'queued', cancelled: false }

/** Whether the guest may speak under the exchange's id: it has been told of it and has not answered. */
export function isOpenToGuest(phase: ExchangePhase): boolean {
  return phase.kind !== 'queued' && phase.kind !== 'ended'
}

export function nextStep(phase: ExchangePhase, input: ExchangeInput): ExchangeStep {
  if (phase.kind === 'ended') return { phase, effect: 'none' }
  if (input === 'lost' || input === 'response') return { phase: ENDED, effect: 'none' }
  switch (phase.kind) {
    case 'queued':
      if (input === 'abort') return { phase: ENDED, effect: 'withdraw' }
      if (input === 'sent') return { phase: { kind: phase.cancelled ? 'cancelling' : 'open' }, effect: 'none' }
      // The queue keeps order: this CANCEL leaves right behind its REQUEST.
      return { phase: { kind: 'queued', cancelled: true }, effect: phase.cancelled ? 'none' : 'send-cancel' }
    case 'open':
      if (input === 'sent') return { phase, effect: 'none' }
      return { phase: { kind: input === 'abort' ? 'draining' : 'cancelling' }, effect: 'send-cancel' }
    case 'cancelling':
      return { phase: input === 'abort' ? { kind: 'draining' } : phase, effect: 'none' }
    case 'draining':
      break
  }
  return { phase, effect: 'none' }
}
