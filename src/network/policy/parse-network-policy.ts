import { InvalidInputError } from '../../base/index.ts'
import { BUILT_IN_RULES } from './built-in-rules.ts'
import type { NetworkPolicy, NetworkRule } from './network-policy.ts'
import { parseRule } from './parse-rule.ts'

/** Each question is asked of every rule, so their number is a cost per connection. */
const MAX_RULES = 200

/** `*` that nobody wrote. */
const EVERYTHING: NetworkRule = Object.freeze({
  text: BUILT_IN_RULES.everything,
  subject: Object.freeze({ kind: 'any' }),
  ports: undefined,
})

/**
 * Checks `network` of the options of a sandbox.
 * An object with neither `allow` nor `deny` is refused: it could be meant as everything or as nothing.
 * @param options see `NetworkOptions`
 * @throws InvalidInputError with the field (`network.allow[2]`) and "expected X, got Y"
 */
export function parseNetworkPolicy(options: unknown): NetworkPolicy {
  if (options === false) return policy(false, [], [])
  if (options === true) return policy(true, [EVERYTHING], [])
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw refuse('network', `expected true, false or { allow, deny }, got ${typeOf(options)}`)
  }
  const allow = 'allow' in options ? options.allow : undefined
  const deny = 'deny' in options ? options.deny : undefined
  const key = Object.keys(options).find((each) => each !== 'allow' && each !== 'deny')
  if (key !== undefined) {
    throw refuse('network', `expected only the keys allow and deny, got ${JSON.stringify(key.slice(0, 64))}`)
  }
  if (allow === undefined && deny === undefined) {
    throw refuse('network', 'expected allow, deny or both, got neither (true allows everything public, false nothing)')
  }
  return policy(
    true,
    allow === undefined ? [EVERYTHING] : rules(allow, 'network.allow'),
    deny === undefined ? [] : rules(deny, 'network.deny'),
  )
}

function policy(enabled: boolean, allow: NetworkRule[], deny: NetworkRule[]): NetworkPolicy {
  return Object.freeze({ enabled, allow: Object.freeze(allow), deny: Object.freeze(deny) })
}

function rules(value: unknown, field: string): NetworkRule[] {
  if (!Array.isArray(value)) throw refuse(field, `expected an array of rules, got ${typeOf(value)}`)
  if (value.length > MAX_RULES) throw refuse(field, `expected at most ${MAX_RULES} rules, got ${value.length}`)
  return Array.from(value, (rule: unknown, index) => parseRule(rule, `${field}[${index}]`))
}

function refuse(field: string, message: string): InvalidInputError {
  return new InvalidInputError(`${field}: ${message}`, { field })
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'an array' : typeof value
}
