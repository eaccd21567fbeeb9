import { canonicalHostName, HOST_LOOPBACK_NAME } from '../dns/host-name.ts'
import { BUILT_IN_RULES } from './built-in-rules.ts'
import type { Decision, NetworkPolicy, NetworkRule } from './network-policy.ts'
import { coversName, hasPortLeft } from './rule-match.ts'

/**
 * Whether DNS may be asked for a name: if a rule by name, or `*`, permits a connection to it on some port that no deny rule
 * takes away. Rules of addresses do not count: with those alone no name is resolved. The host's own name needs a rule that
 * is exactly it. Never throws.
 */
export function mayResolve(policy: NetworkPolicy, text: string): Decision {
  if (!policy.enabled) return refused(BUILT_IN_RULES.off, 'the network is off')
  const name = canonicalHostName(text)
  if (name === undefined) {
    return refused(BUILT_IN_RULES.malformed, `${JSON.stringify(text.slice(0, 64))} is no host name`)
  }
  const allowing = policy.allow.filter((rule) => permitsName(rule, name))
  if (allowing.length === 0) {
    return name === HOST_LOOPBACK_NAME
      ? refused(BUILT_IN_RULES.hostName, `${name} needs a rule that names it exactly`)
      : refused(BUILT_IN_RULES.noRule, `no rule allows the name ${name}`)
  }
  const denying = policy.deny.filter((rule) => rule.subject.kind === 'any' || coversName(rule, name))
  const usable = allowing.find((rule) => hasPortLeft(rule, denying))
  if (usable !== undefined) {
    return { allowed: true, rule: usable.text, reason: `the name ${name} is allowed by the rule ${usable.text}` }
  }
  const denied = denying.find(({ ports }) => ports === undefined) ?? denying[0]
  const rule = denied?.text ?? BUILT_IN_RULES.noRule
  return refused(rule, `the name ${name} is denied by the rule ${rule}`)
}

function permitsName(rule: NetworkRule, name: string): boolean {
  if (name === HOST_LOOPBACK_NAME) return rule.subject.kind === 'name' && rule.subject.name === name
  return rule.subject.kind === 'any' || coversName(rule, name)
}

function refused(rule: string, reason: string): Decision {
  return { allowed: false, rule, reason }
}
