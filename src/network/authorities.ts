import { X509Certificate } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import type { Logger } from '../base/index.ts'
import { type CertificateFile, extraAuthorities, type ParsedCertificate } from './extra-authorities.ts'

export interface AuthoritiesOptions {
  /** Where `NODE_EXTRA_CA_CERTS`, `SSL_CERT_FILE` and `SSL_CERT_DIR` are looked up. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly logger: Logger
  /** Bundles of the system; the first that exists is read. @default where distributions have them */
  readonly systemBundles?: readonly string[]
}

/** Where the system's bundle is: Debian, Arch and Alpine; Fedora; openSUSE; RHEL; OpenBSD and old Alpine. */
const SYSTEM_BUNDLES: readonly string[] = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
]

/** A bundle of all authorities that the web knows has 250 KB. */
const MAX_FILE_BYTES = 4_194_304

/** Files of a directory that are read: those of the system have one for each authority, and one link to it. */
const MAX_DIRECTORY_FILES = 1_000

/**
 * The authorities that this host trusts and Node by itself does not: those of its owner, of a proxy that opens TLS, of a
 * test. Never rejects: what cannot be read or is broken or expired is said in the log.
 * @returns PEM, at most 512 KiB; empty if there are none
 */
export async function readAuthorities({ environment, logger, systemBundles }: AuthoritiesOptions): Promise<string> {
  const files = await certificateFiles(environment, systemBundles ?? SYSTEM_BUNDLES, logger)
  const found = extraAuthorities(files, { known: rootCertificates, now: new Date(), parse: parseCertificate })
  for (const warning of found.warnings) logger.warn('network: certificate authority left out', { reason: warning })
  logger.debug('network: extra certificate authorities of the host', { count: found.count })
  return found.pem
}

function parseCertificate(pem: string): ParsedCertificate | undefined {
  try {
    const certificate = new X509Certificate(pem)
    return {
      pem: certificate.toString(),
      subject: certificate.subject,
      validFrom: new Date(certificate.validFrom),
      validTo: new Date(certificate.validTo),
    }
  } catch {
    return undefined
  }
}

async function certificateFiles(
  environment: AuthoritiesOptions['environment'],
  systemBundles: readonly string[],
  logger: Logger,
): Promise<readonly CertificateFile[]> {
  const read = async (path: string, isNamed: boolean): Promise<CertificateFile | undefined> => {
    try {
      const { size } = await stat(path)
      if (size > MAX_FILE_BYTES) throw new Error(`expected at most ${MAX_FILE_BYTES} bytes, got ${size}`)
      return { path, text: await readFile(path, 'latin1') }
    } catch (error) {
      // The system's places are guesses; what a variable names is meant to be there.
      if (isNamed) logger.warn('network: certificate authorities not readable', { path, reason: String(error) })
      return undefined
    }
  }
  const files: CertificateFile[] = []
  for (const path of systemBundles) {
    const file = await read(path, false)
    if (file === undefined) continue
    files.push(file)
    break
  }
  const named = [environment['NODE_EXTRA_CA_CERTS'], environment['SSL_CERT_FILE']]
  for (const path of [...named, ...(await directoryFiles(environment['SSL_CERT_DIR'], logger))]) {
    const file = path === undefined || path === '' ? undefined : await read(path, true)
    if (file !== undefined) files.push(file)
  }
  return files
}

/** OpenSSL takes a list of directories. It looks only at names of the form `<hash>.<n>`; the files they link to are read. */
async function directoryFiles(directories: string | undefined, logger: Logger): Promise<readonly string[]> {
  const files: string[] = []
  for (const directory of (directories ?? '').split(':').filter((path) => path !== '')) {
    try {
      const names = await readdir(directory)
      files.push(...names.filter((name) => /^[0-9a-f]{8}\.\d+$/.test(name)).map((name) => join(directory, name)))
    } catch (error) {
      logger.warn('network: certificate authorities not readable', { path: directory, reason: String(error) })
    }
  }
  if (files.length > MAX_DIRECTORY_FILES) {
    logger.warn('network: more certificate authorities than are read', {
      reason: `expected at most ${MAX_DIRECTORY_FILES} files in SSL_CERT_DIR, got ${files.length}`,
    })
  }
  return files.slice(0, MAX_DIRECTORY_FILES)
}
