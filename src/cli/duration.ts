import { InvalidArgumentError } from 'commander'

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of `500ms`, `30s`, `2m`, `1h`, `7d`; a bare number is seconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim())
  const factor = UNIT_MS[match?.[2] ?? 's']
  if (match === null || factor === undefined) {
    throw new InvalidArgumentError('Expected a number with ms, s, m, h or d, for example 30s.')
  }
  return Math.round(Number(match[1]) * factor)
}
