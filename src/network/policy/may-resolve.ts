import type { Decision, NetworkPolicy } from './network-policy.ts'

/** Whether DNS may be asked for a name: if some rule could permit some connection to it. Never throws. */
export function mayResolve(_policy: NetworkPolicy, _name: string): Decision {
  throw new Error('follows')
}
