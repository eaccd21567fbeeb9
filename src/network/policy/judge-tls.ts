import type { ClientOpening } from '../tls/client-hello.ts'
import type { TargetQuestion } from './judge-target.ts'
import type { Decision, NetworkPolicy } from './network-policy.ts'

/**
 * Judges the first bytes of a connection whose target `judgeTarget` allows (it is judged here again, so the answer holds
 * for a policy that has changed since). To be asked before a byte goes out, if the port is one of `TLS_PORTS` or the first
 * bytes are 0x16 0x03; for other connections `{ kind: 'not-tls' }` is always allowed. Never throws.
 */
export function judgeTls(_policy: NetworkPolicy, _target: TargetQuestion, _opening: ClientOpening): Decision {
  throw new Error('follows')
}
