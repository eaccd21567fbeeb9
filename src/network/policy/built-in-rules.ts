/** Rules that no user wrote. Each is the `rule` of a decision, so their names are part of what people see in `metrics()`. */
export const BUILT_IN_RULES = {
  /** `network: false`. */
  off: 'network: false',
  /** `network: true`, and `{ deny }` without `allow`: the rule `*` that nobody wrote. */
  everything: 'network: true',
  /** No allow rule is about this. */
  noRule: 'not allowed by any rule',
  /** Something that is no name, no address or no port. */
  malformed: 'malformed',
  /** An address of 198.18.0.0/15 that stands for no name, or not any more. */
  unboundStandIn: 'stand-in address without a name',
  /** A name that means the proxy's own machine or network, asked of a proxy that resolves names itself. */
  proxyOwnNames: 'names of the proxy’s own network',
  /** A public address that is the host's own: what listens there is as little for guests as what listens on loopback. */
  ownAddress: 'address of the host',
  /** The host's own name means 127.0.0.1 and nothing else. */
  hostName: 'host name',
  /** TLS under a rule by name: no server name. */
  serverNameMissing: 'TLS without a server name',
  /** TLS under a rule by name: a server name that no rule allows, or that did not lead to this address. */
  serverNameUnbound: 'TLS server name not resolved to this address',
  /** Bytes on a TLS port that are not TLS, under a rule by name. */
  notTls: 'not TLS on a TLS port',
  /** A ClientHello that nobody could read. */
  malformedTls: 'malformed TLS',
} as const

/** A rule that no user wrote, or the kind of a special address (`SpecialRange`). */
export type BuiltInRule = (typeof BUILT_IN_RULES)[keyof typeof BUILT_IN_RULES]
