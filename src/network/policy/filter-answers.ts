import type { Decision, NetworkPolicy } from './network-policy.ts'

export interface FilteredAnswers {
  /** Canonical text of the addresses to which the policy permits some connection, in their order, each once. */
  readonly addresses: readonly string[]
  /** The others, for the log. */
  readonly refused: readonly (Decision & { readonly address: string })[]
}

/**
 * Leaves out the addresses of a DNS answer (A and AAAA alike) that the policy permits on no port. If nothing is left of an
 * answer that had addresses, the guest is told `refused`. Never throws.
 */
export function filterAnswers(_policy: NetworkPolicy, _name: string, _addresses: readonly string[]): FilteredAnswers {
  throw new Error('follows')
}
