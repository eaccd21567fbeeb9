import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/** A certificate and its key, as TLS servers and trust stores want them. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

export interface CertificateOptions {
  readonly commonName: string
  /** DNS names and IPv4 addresses that it is for. @default none */
  readonly names?: readonly string[]
  /** @default an hour ago */
  readonly validFrom?: Date
  /** @default in a day */
  readonly validTo?: Date
}

/** A certificate authority of a test, strict enough for every client (RFC 5280, section 4.2). */
export class Authority {
  readonly certificate: Certificate
  readonly #key: KeyObject
  readonly #keyId: Buffer
  readonly #name: Buffer

  constructor(options: CertificateOptions = { commonName: `Test authority ${randomBytes(4).toString('hex')}` }) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.#key = privateKey
    this.#keyId = keyIdOf(publicKey)
    this.#name = nameOf(options.commonName)
    const extensions = [
      extension('2.5.29.19', sequence(BOOLEAN_TRUE), true),
      // keyCertSign and cRLSign.
      extension('2.5.29.15', tlv(0x03, Buffer.from([1, 0x06])), true),
      extension('2.5.29.14', tlv(0x04, this.#keyId)),
    ]
    this.certificate = this.#issue(publicKey, privateKey, this.#name, extensions, options)
  }

  /** A certificate for a server. */
  issue(options: CertificateOptions): Certificate {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const names = (options.names ?? []).map((name) =>
      /^[\d.]+$/.test(name)
        ? tlv(0x87, Buffer.from(name.split('.').map(Number)))
        : tlv(0x82, Buffer.from(name, 'latin1')),
    )
    const extensions = [
      extension('2.5.29.19', sequence(), true),
      // digitalSignature, for TLS servers.
      extension('2.5.29.15', tlv(0x03, Buffer.from([7, 0x80])), true),
      extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.1'))),
      extension('2.5.29.14', tlv(0x04, keyIdOf(publicKey))),
      extension('2.5.29.35', sequence(tlv(0x80, this.#keyId))),
      ...(names.length === 0 ? [] : [extension('2.5.29.17', sequence(...names))]),
    ]
    return this.#issue(publicKey, privateKey, nameOf(options.commonName), extensions, options)
  }

  #issue(
    publicKey: KeyObject,
    privateKey: KeyObject,
    subject: Buffer,
    extensions: readonly Buffer[],
    { validFrom, validTo }: CertificateOptions,
  ): Certificate {
    const body = sequence(
      tlv(0xa0, tlv(0x02, Buffer.from([2]))),
      tlv(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
      ECDSA_WITH_SHA256,
      this.#name,
      sequence(time(validFrom ?? new Date(Date.now() - 3_600_000)), time(validTo ?? new Date(Date.now() + 86_400_000))),
      subject,
      publicKey.export({ type: 'spki', format: 'der' }),
      tlv(0xa3, sequence(...extensions)),
    )
    const signature = sign('sha256', body, this.#key)
    const der = sequence(body, ECDSA_WITH_SHA256, tlv(0x03, Buffer.concat([Buffer.from([0]), signature])))
    return { cert: pem('CERTIFICATE', der), key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
  }
}

function tlv(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const { byteLength } = content
  const length =
    byteLength < 0x80
      ? [byteLength]
      : byteLength < 0x100
        ? [0x81, byteLength]
        : [0x82, byteLength >> 8, byteLength & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

function sequence(...contents: readonly Buffer[]): Buffer {
  return tlv(0x30, ...contents)
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const part of rest) {
    const groups = [part & 0x7f]
    for (let more = Math.floor(part / 128); more > 0; more = Math.floor(more / 128))
      groups.unshift((more & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return tlv(0x06, Buffer.from(bytes))
}

const BOOLEAN_TRUE = tlv(0x01, Buffer.from([0xff]))
const ECDSA_WITH_SHA256 = sequence(oid('1.2.840.10045.4.3.2'))

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [BOOLEAN_TRUE] : []), tlv(0x04, value))
}

function nameOf(commonName: string): Buffer {
  return sequence(tlv(0x31, sequence(oid('2.5.4.3'), tlv(0x0c, Buffer.from(commonName)))))
}

function time(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]/g, '').slice(2, 14)
  return tlv(0x17, Buffer.from(`${digits}Z`))
}

function keyIdOf(publicKey: KeyObject): Buffer {
  return createHash('sha1')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest()
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
