import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { crc32, gzipSync } from 'node:zlib'

/** A file of an archive. */
type Entry = readonly [path: string, content: string]

/** A package index and an npm registry on loopback, with packages that are made up. */
export interface PackageIndex extends AsyncDisposable {
  readonly port: number
  readonly pythonIndexUrl: string
  readonly npmRegistryUrl: string
  /** Paths that were asked for, with the credentials that came along. */
  readonly requests: { readonly path: string; readonly authorization: string | undefined }[]
  /** What is answered instead, for the time being: a status, or nothing at all. */
  misbehave: number | 'silent' | undefined
}

export interface PackageIndexOptions {
  /** Files of the Python index by name: wheels and source distributions. */
  readonly files?: Readonly<Record<string, Buffer>>
  /** npm packages: name → files of version 1.0.0. */
  readonly npm?: Readonly<Record<string, readonly Entry[]>>
  /** What each request must bring along. */
  readonly authorization?: string
}

export async function startPackageIndex(options: PackageIndexOptions): Promise<PackageIndex> {
  const requests: PackageIndex['requests'] = []
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    requests.push({ path, authorization: request.headers.authorization })
    const { misbehave } = index
    if (misbehave === 'silent') return
    const refused = options.authorization !== undefined && request.headers.authorization !== options.authorization
    const content = answer(options, path, baseOf(request))
    if (misbehave !== undefined) response.writeHead(misbehave).end()
    else if (refused) response.writeHead(401, { 'www-authenticate': 'Basic' }).end()
    else if (content === undefined) response.writeHead(404).end()
    else response.writeHead(200, { 'content-type': content[0] }).end(content[1])
  })
  const port = await listen(server)
  const index: PackageIndex = {
    port,
    pythonIndexUrl: `http://127.0.0.1:${port}/simple`,
    npmRegistryUrl: `http://127.0.0.1:${port}/npm/`,
    requests,
    misbehave: undefined,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return index
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address() as AddressInfo
  return address.port
}

function baseOf(request: IncomingMessage): string {
  return `http://${request.headers.host ?? ''}`
}

function answer(
  { files = {}, npm = {} }: PackageIndexOptions,
  path: string,
  base: string,
): readonly [type: string, body: string | Buffer] | undefined {
  const project = /^\/simple\/([^/]+)\/$/.exec(path)?.[1]
  if (project !== undefined) {
    const links = Object.keys(files)
      .filter((name) => name.toLowerCase().startsWith(`${project.replaceAll('-', '_')}-`))
      .map((name) => `<a href="/files/${name}">${name}</a>`)
    return links.length === 0 ? undefined : ['text/html', `<!DOCTYPE html><html><body>${links.join('')}</body></html>`]
  }
  const file = files[path.replace('/files/', '')]
  if (file !== undefined) return ['application/octet-stream', file]
  const name = decodeURIComponent(path.replace(/^\/npm\//, ''))
  const tarball = npm[name.replace(/\.tgz$/, '')]
  if (tarball === undefined) return undefined
  const archive = tgz(tarball.map(([entry, content]) => [`package/${entry}`, content]))
  if (name.endsWith('.tgz')) return ['application/octet-stream', archive]
  const integrity = `sha512-${createHash('sha512').update(archive).digest('base64')}`
  const version = { name, version: '1.0.0', dist: { tarball: `${base}/npm/${name}.tgz`, integrity } }
  return [
    'application/json',
    JSON.stringify({ name, 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version } }),
  ]
}

/** A wheel of one module, as PEP 427 has it. */
export function wheel(
  name: string,
  options: { readonly version?: string; readonly requires?: readonly string[]; readonly module?: string } = {},
): Readonly<Record<string, Buffer>> {
  const { version = '1.0', requires = [], module = `def hello(): return "hello from ${name}"\n` } = options
  const info = `${name}-${version}.dist-info`
  const content: Entry[] = [
    [`${name}/__init__.py`, module],
    [
      `${info}/METADATA`,
      [
        'Metadata-Version: 2.1',
        `Name: ${name}`,
        `Version: ${version}`,
        ...requires.map((each) => `Requires-Dist: ${each}`),
        '',
      ].join('\n'),
    ],
    [`${info}/WHEEL`, 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n'],
    [`${info}/entry_points.txt`, `[console_scripts]\n${name}-program = ${name}:hello\n`],
  ]
  const record = [...content.map(([path]) => `${path},,`), `${info}/RECORD,,`, ''].join('\n')
  return { [`${name}-${version}-py3-none-any.whl`]: zip([...content, [`${info}/RECORD`, record]]) }
}

/** A source distribution whose build runs this Python program. */
export function sourceDistribution(name: string, program: string): Readonly<Record<string, Buffer>> {
  const root = `${name}-1.0`
  const backend = [
    'def build_wheel(directory, settings=None, metadata=None):',
    ...program.split('\n').map((line) => `    ${line}`),
    '',
  ].join('\n')
  return {
    [`${root}.tar.gz`]: tgz([
      [`${root}/PKG-INFO`, `Metadata-Version: 2.1\nName: ${name}\nVersion: 1.0\n`],
      [`${root}/pyproject.toml`, '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'],
      [`${root}/backend.py`, backend],
    ]),
  }
}

/** A zip archive without compression (APPNOTE.TXT 4.3). */
function zip(entries: readonly Entry[]): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const [path, text] of entries) {
    const [name, content] = [Buffer.from(path), Buffer.from(text)]
    // Version 2.0, no flags, stored; the time is 1980-01-01.
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(0x21, 8)
    common.writeUInt32LE(crc32(content), 10)
    common.writeUInt32LE(content.length, 14)
    common.writeUInt32LE(content.length, 18)
    common.writeUInt16LE(name.length, 22)
    const local = Buffer.concat([Buffer.from('PK\u0003\u0004'), common, name, content])
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE((0o100644 << 16) >>> 0, 6)
    rest.writeUInt32LE(offset, 10)
    directory.push(Buffer.concat([Buffer.from('PK\u0001\u0002'), Buffer.from([20, 3]), common, rest, name]))
    parts.push(local)
    offset += local.length
  }
  const central = Buffer.concat(directory)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(entries.length, 4)
  end.writeUInt16LE(entries.length, 6)
  end.writeUInt32LE(central.length, 8)
  end.writeUInt32LE(offset, 12)
  return Buffer.concat([...parts, central, Buffer.from('PK\u0005\u0006'), end])
}

/** A gzipped tar archive (ustar). */
function tgz(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap(([path, text]) => {
    const content = Buffer.from(text)
    const header = Buffer.alloc(512)
    header.write(path, 0)
    header.write(['0000644', '0000000', '0000000', ''].join('\0'), 100)
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124)
    header.write('00000000000\0', 136)
    header.write('        0', 148)
    header.write('ustar\u000000', 257)
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]
  })
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]))
}
