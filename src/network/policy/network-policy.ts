/**
 * What a sandbox may reach, in the words of its user.
 *
 * - `false`: no network. `true`: everything public. `{ deny }` alone: everything public but that. `{ allow: [] }`: nothing.
 * - A rule is a name (`example.com`), a wildcard (`*.example.com`: subdomains at any depth, not the name itself), `*`
 *   (everything public), an address or a CIDR block, each with an optional port or range of ports: `example.com:443`,
 *   `10.0.0.0/8:8000-8099`, `[2001:db8::/32]:443`. Names may be international; they are compared in ASCII.
 * - Addresses that are not public (`SpecialRange`: private, loopback, metadata…) are reached by a rule with an address or
 *   a CIDR block within that range alone, on its ports alone; a name that leads to one does not open it, and a wider block
 *   (`0.0.0.0/0`) means what is public in it.
 * - `host.exec-sandbox.internal` is the host's 127.0.0.1, for a rule that is exactly this name.
 */
export type NetworkOptions =
  | boolean
  | {
      /** At most 200 rules. @default ['*'], if `deny` is given */
      readonly allow?: readonly string[]
      /** At most 200 rules; they come before `allow`. @default [] */
      readonly deny?: readonly string[]
    }

/** Ports from `first` to `last`, both included. */
export interface PortRange {
  readonly first: number
  readonly last: number
}

/** A block of addresses in the form that a decision needs: compared as integers. */
export interface AddressBlock {
  readonly family: 4 | 6
  /** The first address of the block. */
  readonly base: bigint
  /** How many leading bits count, 0–32 or 0–128. */
  readonly prefixBits: number
}

/** What a rule is about. `any` is `*`; `subdomains` holds the name behind the `*.`. */
export type RuleSubject =
  | { readonly kind: 'any' }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'subdomains'; readonly name: string }
  | { readonly kind: 'addresses'; readonly block: AddressBlock }

/** One rule: its text as the user wrote it, and what it means. */
export interface NetworkRule {
  readonly text: string
  readonly subject: RuleSubject
  /** `undefined`: every port. */
  readonly ports: PortRange | undefined
}

/** A policy after all checks: frozen through and through. */
export interface NetworkPolicy {
  /** False for `network: false` alone: the guest then has no network at all. `{ allow: [] }` has one that leads nowhere. */
  readonly enabled: boolean
  readonly allow: readonly NetworkRule[]
  readonly deny: readonly NetworkRule[]
}

/** Whether something may happen, and which rule says so. */
export interface Decision {
  readonly allowed: boolean
  /** The text of the user's rule, or a name of `BuiltInRule`. */
  readonly rule: string
  /** One sentence for people, without a full stop. */
  readonly reason: string
}
