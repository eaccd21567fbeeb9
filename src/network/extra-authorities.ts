/** A file of certificates as it was read. */
export interface CertificateFile {
  readonly path: string
  readonly text: string
}

export interface ParsedCertificate {
  /** One `CERTIFICATE` block. */
  readonly pem: string
  readonly subject: string
  readonly validFrom: Date
  readonly validTo: Date
}

export interface ExtraAuthoritiesOptions {
  /** PEM of those that everybody knows; they are left out. */
  readonly known: readonly string[]
  readonly now: Date
  /** Reads one PEM block; undefined if it is none. */
  readonly parse: (pem: string) => ParsedCertificate | undefined
}

export interface ExtraAuthorities {
  /** PEM blocks, each ended by a newline; empty if there are none. */
  readonly pem: string
  readonly count: number
  /** What was left out and why: broken, expired, too many. */
  readonly warnings: readonly string[]
}

/** PEM that goes to a guest at most: some 300 certificates. */
const MAX_PEM_BYTES = 524_288

/** Warnings of one reading: a broken bundle would otherwise fill the log. */
const MAX_WARNINGS = 20

/** OpenSSL's `TRUSTED CERTIFICATE` has settings behind the certificate, which parsing drops. */
const BLOCK = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----([^-]*)-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g

/** The certificates of `files` that are good and not known anyway, each once, in their order. Pure but for `parse`. */
export function extraAuthorities(
  files: readonly CertificateFile[],
  { known, now, parse }: ExtraAuthoritiesOptions,
): ExtraAuthorities {
  const seen = new Set(known.map((pem) => fingerprint(pem)))
  const blocks: string[] = []
  const warnings: string[] = []
  let bytes = 0
  for (const { path, text } of files) {
    for (const [block] of text.matchAll(BLOCK)) {
      const print = fingerprint(block)
      if (seen.has(print)) continue
      seen.add(print)
      const certificate = parse(block)
      const pem = certificate === undefined ? '' : `${certificate.pem.trim()}\n`
      const wrong =
        faultOf(certificate, now) ?? (bytes + pem.length > MAX_PEM_BYTES ? 'more than 512 KiB in all' : undefined)
      if (wrong !== undefined) {
        warnings.push(`${path}: ${wrong}`)
        continue
      }
      // Its settings are gone now: what they were attached to may be known.
      if (seen.has(fingerprint(pem)) && fingerprint(pem) !== print) continue
      seen.add(fingerprint(pem))
      blocks.push(pem)
      bytes += pem.length
    }
  }
  return { pem: blocks.join(''), count: blocks.length, warnings: bounded(warnings) }
}

function faultOf(certificate: ParsedCertificate | undefined, now: Date): string | undefined {
  if (certificate === undefined) return 'a certificate that cannot be read'
  const subject = certificate.subject.replaceAll('\n', ', ')
  if (certificate.validTo < now) return `${subject} has expired`
  if (certificate.validFrom > now) return `${subject} is not valid yet`
  return undefined
}

/** The content of a PEM block, however its lines are cut. */
function fingerprint(pem: string): string {
  return pem.replaceAll(/-----[^-]*-----|\s/g, '')
}

function bounded(warnings: readonly string[]): readonly string[] {
  if (warnings.length <= MAX_WARNINGS) return warnings
  return [...warnings.slice(0, MAX_WARNINGS), `and ${warnings.length - MAX_WARNINGS} more`]
}
