import { canonicalHostName } from '../dns/host-name.ts'
import type { ClientOpening } from '../tls/client-hello.ts'
import { BUILT_IN_RULES } from './built-in-rules.ts'
import { judgeTarget, type TargetDecision, type TargetQuestion } from './judge-target.ts'
import type { Decision, NetworkPolicy, NetworkRule } from './network-policy.ts'
import { coversName, coversPort } from './rule-match.ts'
import { TLS_PORTS } from './tls-ports.ts'

/**
 * Judges the first bytes of a connection whose target `judgeTarget` allows (it is judged here again, so the answer holds
 * for a policy that has changed since). To be asked before a byte goes out, if the port is one of `TLS_PORTS` or the first
 * bytes begin a record of TLS; `{ kind: 'not-tls' }` on other ports is as allowed as its target. Never throws.
 *
 * - A deny rule on the server name counts on every ground.
 * - Ground `name`: TLS must name a server that a rule by name allows on this port and that led to this address; a TLS port
 *   must speak TLS.
 * - Grounds `address` and `any`: nothing more is asked. Only what claims to be TLS and cannot be read is refused, if there
 *   is a deny rule by name for the port that it could be hiding from.
 *
 * Not seen, by nature: the inner name of an encrypted hello (ECH; the outer name counts), TLS that begins later in a
 * connection (STARTTLS), and what is asked of the server inside (domain fronting).
 */
export function judgeTls(policy: NetworkPolicy, target: TargetQuestion, opening: ClientOpening): Decision {
  const decision = judgeTarget(policy, target)
  if (!decision.allowed) return decision
  const byName = decision.ground === 'name'
  if (opening.kind === 'tls') return judgeServerName(policy, target, opening.serverName, decision)
  if (opening.kind === 'not-tls') {
    return byName && TLS_PORTS.has(target.port)
      ? refused(BUILT_IN_RULES.notTls, `the first bytes to port ${target.port} are not TLS`)
      : decision
  }
  return byName || policy.deny.some((rule) => namesServers(rule) && coversPort(rule, target.port))
    ? refused(BUILT_IN_RULES.malformedTls, `the TLS ClientHello cannot be read: ${opening.why}`)
    : decision
}

function judgeServerName(
  policy: NetworkPolicy,
  { port, names }: TargetQuestion,
  serverName: string | undefined,
  decision: TargetDecision & { readonly allowed: true },
): Decision {
  const byName = decision.ground === 'name'
  if (serverName === undefined) {
    return byName
      ? refused(BUILT_IN_RULES.serverNameMissing, `the TLS ClientHello to port ${port} names no server`)
      : decision
  }
  const covers = (rule: NetworkRule): boolean => coversPort(rule, port) && coversName(rule, serverName)
  const denied = policy.deny.find(covers)
  if (denied !== undefined)
    return refused(denied.text, `TLS to ${serverName}:${port} is denied by the rule ${denied.text}`)
  if (!byName) return decision
  const allowing = policy.allow.find(covers)
  if (allowing === undefined) return refused(BUILT_IN_RULES.noRule, `no rule allows TLS to ${serverName}:${port}`)
  if (!names.some((name) => canonicalHostName(name) === serverName)) {
    return refused(BUILT_IN_RULES.serverNameUnbound, `${serverName} did not lead to this address in this sandbox`)
  }
  return {
    allowed: true,
    rule: allowing.text,
    reason: `TLS to ${serverName}:${port} is allowed by the rule ${allowing.text}`,
  }
}

function namesServers({ subject }: NetworkRule): boolean {
  return subject.kind === 'name' || subject.kind === 'subdomains'
}

function refused(rule: string, reason: string): Decision {
  return { allowed: false, rule, reason }
}
