import { denying, permitting } from './applicable-rules.ts'
import { BUILT_IN_RULES } from './built-in-rules.ts'
import { notPermitted, readFarEnd } from './judge-target.ts'
import type { Decision, NetworkPolicy } from './network-policy.ts'
import { hasPortLeft } from './rule-match.ts'

export interface FilteredAnswers {
  /** Canonical text of the addresses to which the policy permits some connection, in their order, each once. */
  readonly addresses: readonly string[]
  /** The others, for the log. */
  readonly refused: readonly (Decision & { readonly address: string })[]
}

/**
 * Leaves out the addresses of a DNS answer (A and AAAA alike) that `judgeTarget` would permit on no port at all. If nothing
 * is left of an answer that had addresses, the guest is told `refused`. Never throws.
 * @param name one that `mayResolve` allows
 */
export function filterAnswers(policy: NetworkPolicy, name: string, addresses: readonly string[]): FilteredAnswers {
  const kept = new Set<string>()
  const refused: (Decision & { readonly address: string })[] = []
  for (const address of addresses) {
    const answer = judgeAnswer(policy, name, address)
    if (typeof answer === 'string') kept.add(answer)
    else refused.push({ ...answer, address })
  }
  return { addresses: [...kept], refused }
}

/** The canonical address, or why it is left out. */
function judgeAnswer(policy: NetworkPolicy, name: string, realAddress: string): string | Decision {
  if (!policy.enabled) return { allowed: false, rule: BUILT_IN_RULES.off, reason: 'the network is off' }
  const farEnd = readFarEnd({ realAddress, names: [name] })
  if (farEnd?.address === undefined) {
    return { allowed: false, rule: BUILT_IN_RULES.malformed, reason: 'an answer that is no address, or to no name' }
  }
  const where = `${realAddress} for ${name}`
  const permitted = permitting(policy, farEnd)
  if (permitted.length === 0) return notPermitted(farEnd, where)
  const denied = denying(policy, farEnd)
  if (permitted.some(({ rule }) => hasPortLeft(rule, denied))) return farEnd.address.text
  const rule = (denied.find(({ ports }) => ports === undefined) ?? denied[0])?.text ?? BUILT_IN_RULES.noRule
  return { allowed: false, rule, reason: `${where} is denied by the rule ${rule}` }
}
