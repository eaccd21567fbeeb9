import type { NetworkPolicy } from './network-policy.ts'

/**
 * Checks `network` of the options of a sandbox.
 * @param options see `NetworkOptions`
 * @throws InvalidInputError with the field (`network.allow[2]`) and "expected X, got Y"
 */
export function parseNetworkPolicy(_options: unknown): NetworkPolicy {
  throw new Error('follows')
}
