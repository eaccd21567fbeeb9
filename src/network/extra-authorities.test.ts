import { X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import { expect, test } from 'vitest'
import { Authority } from '../../test/network/certificates.ts'
import { extraAuthorities } from './extra-authorities.ts'

const now = new Date()
const own = new Authority({ commonName: 'Own authority' }).certificate.cert
const expired = new Authority({ commonName: 'Old', validFrom: new Date(0), validTo: new Date(86_400_000) }).certificate
  .cert
const early = new Authority({ commonName: 'Early', validFrom: new Date(Date.now() + 3_600_000) }).certificate.cert

function extra(...texts: readonly string[]): ReturnType<typeof extraAuthorities> {
  const files = texts.map((text, index) => ({ path: `/file${index}`, text }))
  return extraAuthorities(files, {
    now,
    known: rootCertificates,
    parse: (pem) => {
      try {
        const certificate = new X509Certificate(pem)
        const { subject } = certificate
        const [validFrom, validTo] = [new Date(certificate.validFrom), new Date(certificate.validTo)]
        return { pem: certificate.toString(), subject, validFrom, validTo }
      } catch {
        return undefined
      }
    },
  })
}

test('what Node trusts anyway is left out, what is more is kept once', () => {
  const bundle = [...rootCertificates, `# a comment\n${own}`].join('\n')
  expect(extra(bundle, own, own.replaceAll('\n', '\r\n'))).toEqual({ pem: own, count: 1, warnings: [] })
})

test('broken, expired and future certificates are left out with a word, others behind them are kept', () => {
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
  const { pem, warnings } = extra(`${broken}${expired}${early}${own}`)
  expect(pem).toBe(own)
  expect(warnings).toEqual([
    '/file0: a certificate that cannot be read',
    '/file0: CN=Old has expired',
    '/file0: CN=Early is not valid yet',
  ])
})

test('private keys and other text never get through', () => {
  const { key } = new Authority().issue({ commonName: 'x' })
  expect(extra(`${key}${own}trailing`).pem).toBe(own)
  expect(extra('', 'no certificate at all', '-----BEGIN CERTIFICATE-----\nunfinished')).toEqual({
    pem: '',
    count: 0,
    warnings: [],
  })
})

test('never more than 512 KiB, and the rest is said', () => {
  const parse = (pem: string) => ({ pem, subject: 'CN=x', validFrom: new Date(0), validTo: new Date(Date.now() + 1e9) })
  const blocks = Array.from({ length: 700 }, (_, index) => {
    const content = Buffer.alloc(740, index).toString('base64')
    return `-----BEGIN CERTIFICATE-----\n${content}${index}\n-----END CERTIFICATE-----\n`
  })
  const { pem, count, warnings } = extraAuthorities([{ path: '/big', text: blocks.join('') }], {
    now,
    known: [],
    parse,
  })
  expect(pem.length).toBeLessThanOrEqual(524_288)
  expect(count).toBeLessThan(700)
  expect(warnings).toHaveLength(21)
  expect(warnings.at(-1)).toBe(`and ${700 - count - 20} more`)
})
