/** Shorter ones say nothing and would be found in every other word. */
const SHORTEST_SECRET = 4

/** A function that takes secrets out of text: those given, and whatever stands as credentials in a URL. Pure. */
export function redactor(secrets: readonly string[]): (text: string) => string {
  // The longest first: one may be part of another.
  const all = [...new Set(secrets)]
    .filter((secret) => secret.length >= SHORTEST_SECRET)
    .toSorted((left, right) => right.length - left.length)
  return (text) =>
    all
      .reduce((rest, secret) => rest.replaceAll(secret, '***'), text)
      .replaceAll(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, '$1***@')
}
