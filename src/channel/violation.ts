import { ProtocolError } from '../base/index.ts'

/** Which sentence of docs/protocol.md a peer broke; the same words as in guest/wire/vectors.json. */
export type Rule =
  | 'magic'
  | 'type'
  | 'direction'
  | 'stream'
  | 'id'
  | 'length'
  | 'json'
  | 'generation'
  | 'opening'
  | 'not-open'
  | 'not-served'
  | 'not-connected'
  | 'no-method'
  | 'too-many-exchanges'
  | 'no-stream'
  | 'no-event'
  | 'too-many-events'
  | 'ended'
  | 'credit'
  | 'limit'
  | 'response-order'

/** The error of a peer that broke `rule`. `what` says what was seen, in words of ours: never the peer's own text. */
export function violation(rule: Rule, what: string, cause?: unknown): ProtocolError {
  return new ProtocolError(
    `The guest broke the wire format (${rule}): ${what}. Its VM cannot be trusted any more`,
    { rule },
    cause,
  )
}
