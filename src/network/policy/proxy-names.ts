/**
 * Names that mean something else to a proxy than to the world: RFC 6761 (localhost), RFC 6762 (local), RFC 8375
 * (home.arpa), the private top-level domain `internal` (ICANN 2024), in which clouds have their metadata services.
 */
const PRIVATE_SUFFIXES = ['.local', '.internal', '.home.arpa'] as const

/** The proxy's own loopback. Its address is never public, so no rule by name permits it. */
export function meansProxyItself(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost')
}

/**
 * Whether a proxy would look for a name in its own network. Behind a proxy nobody here sees the address, so `*`, which is
 * everything public, does not permit such names; a rule that names them does.
 */
export function isProxyOwnName(name: string): boolean {
  return meansProxyItself(name) || !name.includes('.') || PRIVATE_SUFFIXES.some((suffix) => `.${name}`.endsWith(suffix))
}
