/**
 * Bounds on names that a wildcard lets through. Whoever owns the name servers of a domain can be told 250 bytes by each
 * question for a name in it; names that people and services use stay far below these.
 */
const MAX_NAME_LENGTH = 128
const MAX_LABELS = 10

/** Why a name is too long to be asked for by way of a wildcard; undefined when it is not. */
export function nameBoundBroken(name: string): string | undefined {
  if (name.length > MAX_NAME_LENGTH) {
    return `expected a name of at most ${MAX_NAME_LENGTH} characters, got ${name.length}`
  }
  const labels = name.split('.').length
  if (labels > MAX_LABELS) return `expected a name of at most ${MAX_LABELS} labels, got ${labels}`
  return undefined
}
