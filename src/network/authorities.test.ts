import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Authority } from '../../test/network/certificates.ts'
import { createLogger } from '../base/index.ts'
import { readAuthorities } from './authorities.ts'

let directory: string
const log: string[] = []
const logger = createLogger('warn', (line) => log.push(line))

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-authorities-'))
  log.length = 0
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

async function file(name: string, text: string): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, text)
  return path
}

test('the system, NODE_EXTRA_CA_CERTS, SSL_CERT_FILE and SSL_CERT_DIR are read', async () => {
  const authority = (commonName: string): string => new Authority({ commonName }).certificate.cert
  const [system, extra, bundle, linked] = [authority('a'), authority('b'), authority('c'), authority('d')] as const
  await mkdir(join(directory, 'certs'))
  await file('certs/d.pem', linked)
  await symlink('d.pem', join(directory, 'certs', '0a1b2c3d.0'))
  const pem = await readAuthorities({
    logger,
    systemBundles: [join(directory, 'absent'), await file('system', system), await file('never', 'reached')],
    environment: {
      NODE_EXTRA_CA_CERTS: await file('extra', extra),
      SSL_CERT_FILE: await file('bundle', bundle),
      SSL_CERT_DIR: `${join(directory, 'certs')}:`,
    },
  })
  expect(pem).toBe([system, extra, bundle, linked].join(''))
  expect(log).toEqual([])
})

test('what a variable names and cannot be read is said, and the rest is read', async () => {
  const { cert } = new Authority().certificate
  const environment = {
    NODE_EXTRA_CA_CERTS: join(directory, 'absent'),
    SSL_CERT_FILE: await file('bundle', cert),
    SSL_CERT_DIR: join(directory, 'no-directory'),
  }
  expect(await readAuthorities({ logger, systemBundles: [], environment })).toBe(cert)
  expect(log.filter((line) => line.includes('ENOENT'))).toHaveLength(2)
})

test('a host without any has none', async () => {
  expect(await readAuthorities({ logger, systemBundles: [], environment: {} })).toBe('')
})

test('a file too large to be a bundle is not read', async () => {
  const environment = { SSL_CERT_FILE: await file('huge', ' '.repeat(4_194_305)) }
  expect(await readAuthorities({ logger, systemBundles: [], environment })).toBe('')
  expect(log[0]).toContain('expected at most 4194304 bytes, got 4194305')
})
