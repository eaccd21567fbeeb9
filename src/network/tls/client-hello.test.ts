import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { type ConnectionOptions, connect } from 'node:tls'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { ClientHelloReader, type ClientOpening } from './client-hello.ts'

/**
 * The first bytes that a client sends to a server that never answers: what a real ClientHello is. `start` connects to the
 * port, and gives a way to stop the client.
 */
async function firstBytes(start: (port: number) => () => void): Promise<Buffer> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = start((server.address() as AddressInfo).port)
  try {
    const [socket] = await once(server, 'connection', { signal: AbortSignal.timeout(60_000) })
    const chunks: Buffer[] = []
    for await (const chunk of socket) {
      chunks.push(chunk)
      if (complete(Buffer.concat(chunks))) break
    }
    socket.destroy()
    return Buffer.concat(chunks)
  } finally {
    stop()
    server.close()
  }
}

/** Whether the first record is there as a whole; clients of this test send their hello in one. */
function complete(bytes: Buffer): boolean {
  return bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt16BE(3)
}

function nodeHello(options: ConnectionOptions): Promise<Buffer> {
  return firstBytes((port) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
    socket.on('error', () => undefined)
    return () => socket.destroy()
  })
}

function commandHello(command: string, args: (port: number) => readonly string[]): Promise<Buffer> {
  return firstBytes((port) => {
    const child = execFile(command, args(port), () => undefined)
    return () => child.kill('SIGKILL')
  })
}

function present(command: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const read = (bytes: Uint8Array): 'more' | ClientOpening => new ClientHelloReader().feed(bytes)

const why = (pattern: RegExp): unknown => ({ kind: 'malformed', why: expect.stringMatching(pattern) })

describe('hellos of real clients', { timeout: 120_000 }, () => {
  test.for([
    ['with a name', { servername: 'example.com' }, 'example.com'],
    [
      'with a long name',
      { servername: `${'a'.repeat(63)}.${'b'.repeat(63)}.example.com` },
      `${'a'.repeat(63)}.${'b'.repeat(63)}.example.com`,
    ],
    ['with capital letters', { servername: 'EXAMPLE.Com' }, 'example.com'],
    ['with an underscore', { servername: 'my_host.example.com' }, 'my_host.example.com'],
    ['TLS 1.2 only', { servername: 'example.com', maxVersion: 'TLSv1.2' }, 'example.com'],
    ['with ALPN', { servername: 'example.com', ALPNProtocols: ['h2', 'http/1.1'] }, 'example.com'],
    ['without a name', { servername: '' }, undefined],
  ] as const)('node:tls %s', async ([, options, serverName]) => {
    const hello = await nodeHello({
      ...options,
      ALPNProtocols: 'ALPNProtocols' in options ? [...options.ALPNProtocols] : [],
    })
    expect(read(hello)).toEqual({ kind: 'tls', serverName, ech: false })
  })

  test('node:tls with a trailing dot is malformed', async () => {
    expect(read(await nodeHello({ servername: 'example.com.' }))).toEqual(why(/host name/))
  })

  test.skipIf(!present('openssl'))('openssl s_client', async () => {
    const to = (port: number): string[] => ['s_client', '-connect', `127.0.0.1:${port}`]
    const named = await commandHello('openssl', (port) => [...to(port), '-servername', 'example.com'])
    expect(read(named)).toEqual({ kind: 'tls', serverName: 'example.com', ech: false })
    const unnamed = await commandHello('openssl', (port) => [...to(port), '-noservername'])
    expect(read(unnamed)).toEqual({ kind: 'tls', serverName: undefined, ech: false })
    const address = await commandHello('openssl', (port) => [...to(port), '-servername', '127.0.0.1'])
    expect(read(address)).toEqual(why(/host name/))
  })

  test.skipIf(!present('curl'))('curl', async () => {
    const hello = await commandHello('curl', (port) => [
      ...['--silent', '--insecure', '--noproxy', '*', '--resolve', `example.com:${port}:127.0.0.1`],
      `https://example.com:${port}/`,
    ])
    expect(read(hello)).toEqual({ kind: 'tls', serverName: 'example.com', ech: false })
  })

  test.skipIf(!present('python3'))('Python', async () => {
    const program = [
      'import socket, ssl, sys',
      'context = ssl._create_unverified_context()',
      's = socket.create_connection(("127.0.0.1", int(sys.argv[1])))',
      'context.wrap_socket(s, server_hostname="bücher.example")',
    ].join('\n')
    const hello = await commandHello('python3', (port) => ['-c', program, String(port)])
    expect(read(hello)).toEqual({ kind: 'tls', serverName: 'xn--bcher-kva.example', ech: false })
  })
})

// Hellos made here, byte by byte, for what no good client sends.

const u16 = (value: number): number[] => [value >> 8, value & 255]
const vector16 = (bytes: readonly number[]): number[] => [...u16(bytes.length), ...bytes]
const ascii = (text: string): number[] => [...Buffer.from(text, 'latin1')]
const extension = (type: number, content: readonly number[]): number[] => [...u16(type), ...vector16(content)]
const serverNameList = (list: readonly number[]): number[] => extension(0, vector16(list))
const hostName = (name: string): number[] => [0, ...vector16(ascii(name))]
const sni = (name: string): number[] => serverNameList(hostName(name))

interface BodyOptions {
  readonly session?: readonly number[]
  readonly suites?: readonly number[]
  readonly compressions?: readonly number[]
}

function body(extensions: readonly number[] | undefined, options: BodyOptions = {}): number[] {
  const { session = [], suites = [0x13, 0x01], compressions = [0] } = options
  return [
    ...[3, 3, ...Array.from({ length: 32 }, (_, index) => index), session.length, ...session],
    ...[...vector16(suites), compressions.length, ...compressions],
    ...(extensions === undefined ? [] : vector16(extensions)),
  ]
}

const message = (content: readonly number[], type = 1): number[] => [type, 0, ...vector16(content)]

/** Cuts a message into records of `size` bytes. */
function records(content: readonly number[], size = 16_384): Buffer {
  const cut: number[] = []
  for (let at = 0; at < content.length; at += size) cut.push(22, 3, 1, ...vector16(content.slice(at, at + size)))
  return Buffer.from(cut)
}

const hello = (extensions: readonly number[] | undefined, options?: BodyOptions): Buffer =>
  records(message(body(extensions, options)))

const GOOD = hello(sni('a.example'))

describe('hellos made by hand', () => {
  test.for([
    ['one name', hello(sni('a.example')), { serverName: 'a.example', ech: false }],
    ['no extensions at all', hello(undefined), { serverName: undefined, ech: false }],
    ['an empty list of extensions', hello([]), { serverName: undefined, ech: false }],
    ['ECH', hello([...sni('public.example'), ...extension(0xfe0d, [0])]), { serverName: 'public.example', ech: true }],
    ['ESNI', hello(extension(0xffce, [0])), { serverName: undefined, ech: true }],
    ['a session id', hello(sni('a.example'), { session: Array(32).fill(1) }), { serverName: 'a.example', ech: false }],
    [
      'early data behind it',
      Buffer.concat([GOOD, Buffer.from([23, 3, 3, 0, 1, 0])]),
      { serverName: 'a.example', ech: false },
    ],
    ['records of one byte', records(message(body(sni('a.example'))), 1), { serverName: 'a.example', ech: false }],
  ] as const)('%s is read', ([, bytes, expected]) => {
    expect(read(bytes)).toEqual({ kind: 'tls', ...expected })
  })

  test.for([
    ['the name twice', hello([...sni('a.example'), ...sni('b.example')]), /comes twice/],
    ['the same name twice', hello([...sni('a.example'), ...sni('a.example')]), /comes twice/],
    ['another extension twice', hello([...extension(5, []), ...sni('a.b'), ...extension(5, [])]), /comes twice/],
    ['two names in the list', hello(serverNameList([...hostName('a.example'), ...hostName('b.example')])), /too many/],
    ['another type of name', hello(serverNameList([1, ...vector16(ascii('a.example'))])), /unknown type/],
    ['an empty list of names', hello(serverNameList([])), /cut off/],
    ['an empty name extension', hello(extension(0, [])), /cut off/],
    ['an empty name', hello(sni('')), /no host name/],
    ['bytes behind the list of names', hello(extension(0, [...vector16(hostName('a.b')), 0])), /too many/],
    ['a NUL', hello(sni('a.example\0.b.example')), /no host name/],
    ['a space', hello(sni('a example')), /no host name/],
    ['a byte that is not ASCII', hello(sni('b\u00FCcher.example')), /no host name/],
    ['UTF-8', hello(serverNameList([0, ...vector16([...Buffer.from('bücher.example')])])), /no host name/],
    ['a trailing dot', hello(sni('a.example.')), /no host name/],
    ['an IPv4 address', hello(sni('93.184.216.34')), /no host name/],
    ['an odd IPv4 address', hello(sni('0x7f.1')), /no host name/],
    ['an IPv6 address', hello(sni('::1')), /no host name/],
    ['a wildcard', hello(sni('*.example')), /no host name/],
    ['254 characters', hello(sni(`${'a.'.repeat(126)}aa`)), /no host name/],
    ['a session id too long', hello(sni('a.b'), { session: Array(33).fill(0) }), /session id/],
    ['no cipher suites', hello(sni('a.b'), { suites: [] }), /cipher suites/],
    ['half a cipher suite', hello(sni('a.b'), { suites: [1, 2, 3] }), /cipher suites/],
    ['no compression', hello(sni('a.b'), { compressions: [] }), /compression/],
    ['bytes behind the extensions', records(message([...body([]), 0])), /too many/],
    ['a cut list of extensions', records(message([...body(undefined), 0, 4, 0, 0])), /cut off/],
    ['a cut extension', hello([0, 0, 0, 9, 1]), /cut off/],
    ['an empty message', records(message([])), /cut off/],
    ['another message first', records(message([], 2)), /no ClientHello/],
    ['a message behind it', records([...message(body([])), 1]), /another message/],
    ['an empty record', Buffer.from([22, 3, 1, 0, 0]), /empty/],
    ['a record too long', Buffer.from([22, 3, 1, 0x40, 1]), /too long/],
    ['an alert between its records', Buffer.concat([records([1, 0, 0, 50]), Buffer.from([21, 3])]), /interrupted/],
    [
      'another version between its records',
      Buffer.concat([records([1, 0, 0, 50]), Buffer.from([22, 2])]),
      /interrupted/,
    ],
    ['a length beyond the bound', records([1, 0, 0x40, 0]), /longer than 16384/],
    ['a length of 16 MiB', records([1, 255, 255, 255]), /longer than 16384/],
    [
      'records of one byte beyond the bound',
      records(message(body(extension(21, Array(4000).fill(0)))), 1),
      /longer than 16384/,
    ],
    // Go's server skips the first and takes the second for TLS; others may do so with the rest.
    ['a warning before it', Buffer.concat([Buffer.from([21, 3, 1, 0, 2, 1, 90]), GOOD]), /no ClientHello/],
    ['another version', Buffer.concat([Buffer.from([22, 4]), GOOD.subarray(2)]), /no ClientHello/],
    ['a warning of another version', Buffer.from([21, 4]), /no ClientHello/],
    ['a change of cipher before it', Buffer.concat([Buffer.from([20, 3, 3, 0, 1, 1]), GOOD]), /no ClientHello/],
    ['data before it', Buffer.from([23, 3]), /no ClientHello/],
    ['a heartbeat before it', Buffer.from([24, 0]), /no ClientHello/],
    ['an SSL 2 hello', Buffer.from([0x80, 46, 1, 0, 2, 0, 21]), /SSL 2/],
    ['an SSL 2 hello for TLS', Buffer.from([0x80, 46, 1, 3, 1, 0, 21]), /SSL 2/],
  ] as const)('%s is malformed', ([, bytes, pattern]) => {
    expect(read(bytes)).toEqual(why(pattern))
  })

  test('a hello of exactly 16 KiB is read, one byte more is not', () => {
    const padded = (length: number): Buffer => hello([...sni('a.example'), ...extension(21, Array(length).fill(0))])
    const room = 16_384 - padded(0).length
    expect(padded(room)).toHaveLength(16_384)
    expect(read(padded(room))).toEqual({ kind: 'tls', serverName: 'a.example', ech: false })
    expect(read(padded(room + 1))).toEqual(why(/longer than 16384/))
  })

  test.for([
    ['HTTP', ascii('GET / HTTP/1.1\r\n')],
    ['one byte of HTTP', ascii('G')],
    ['SSH', ascii('SSH-2.0-OpenSSH_9.9\r\n')],
    ['a NUL', [0]],
    ['the type of a handshake and no version', [22, 16]],
    ['the type of an alert and a letter', [21, 0x61]],
    ['a byte below the types of records', [0x13, 3]],
    ['a byte above the types of records', [0x19, 3]],
    ['a high byte and no SSL 2', [0x80, 0, 2]],
    ['a high byte and another version', [0x80, 46, 1, 0, 3]],
    ['a high byte and version 1', [0x80, 46, 1, 1]],
    ['UTF-8', [...Buffer.from('é…')]],
  ] as const)('%s is not TLS', ([, bytes]) => {
    expect(read(Uint8Array.from(bytes))).toEqual({ kind: 'not-tls' })
  })

  test('nothing is settled before the byte that settles it', () => {
    const reader = new ClientHelloReader()
    expect(reader.feed(new Uint8Array())).toBe('more')
    for (const byte of GOOD.subarray(0, -1)) expect(reader.feed(Uint8Array.of(byte))).toBe('more')
    const answer = { kind: 'tls', serverName: 'a.example', ech: false }
    expect(reader.feed(GOOD.subarray(-1))).toEqual(answer)
    expect(reader.feed(Buffer.from('something else'))).toEqual(answer)
    expect(reader.end()).toEqual(answer)
  })

  test('the end settles what is left open', () => {
    expect(new ClientHelloReader().end()).toEqual({ kind: 'not-tls' })
    const reader = new ClientHelloReader()
    expect(reader.feed(GOOD.subarray(0, 20))).toBe('more')
    expect(reader.end()).toEqual(why(/ends within/))
    expect(reader.feed(GOOD.subarray(20))).toEqual(why(/ends within/))
  })

  test('the chunk may be changed by its owner afterwards', () => {
    const reader = new ClientHelloReader()
    const chunk = Buffer.from(GOOD.subarray(0, -1))
    reader.feed(chunk)
    chunk.fill(0)
    expect(reader.feed(GOOD.subarray(-1))).toMatchObject({ serverName: 'a.example' })
  })
})

describe('any bytes, any cuts', { timeout: 180_000 }, () => {
  let samples: readonly Buffer[] = []

  beforeAll(async () => {
    const real = await nodeHello({ servername: 'example.com' })
    const content = [...real.subarray(5)]
    samples = [
      real,
      records(content, 100),
      records(content, 7),
      Buffer.concat([real, Buffer.from('early data')]),
      GOOD,
      hello([...sni('a.example'), ...sni('a.example')]),
      records(message(body(extension(21, Array(4000).fill(0)))), 1),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from([0x80, 46, 1, 3, 1, 0, 21]),
    ]
  })

  const sampleAt = (index: number): Buffer => samples[index % samples.length] ?? GOOD

  /** Feeds pieces of the given lengths in turn; the empty rest asks once more. */
  function inPieces(bytes: Uint8Array, lengths: readonly number[]): 'more' | ClientOpening {
    const reader = new ClientHelloReader()
    for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
      const length = lengths[turn % lengths.length] ?? 1
      reader.feed(bytes.subarray(at, at + length))
      at += length
    }
    return reader.feed(new Uint8Array())
  }

  const lengths = fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 600 })), { minLength: 1, maxLength: 8 })

  test('any split gives the same answer', () => {
    fc.assert(
      fc.property(fc.nat(), lengths, (index, cuts) => {
        const bytes = sampleAt(index)
        expect(inPieces(bytes, cuts)).toEqual(read(bytes))
      }),
      { numRuns: 2_000 },
    )
  })

  test('damage of any kind never throws, and any split of it gives the same answer', () => {
    const damage = fc.record({
      kind: fc.constantFrom('set', 'insert', 'remove', 'cut'),
      at: fc.nat({ max: 700 }),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 4 }),
    })
    const seen = new Map<string, number>()
    fc.assert(
      fc.property(fc.nat(), fc.array(damage, { minLength: 1, maxLength: 3 }), lengths, (index, damages, cuts) => {
        let bytes = Buffer.from(sampleAt(index))
        for (const { kind, at: place, bytes: added } of damages) {
          const at = place % (bytes.length + 1)
          const [before, behind] = [bytes.subarray(0, at), bytes.subarray(at)]
          if (kind === 'set') bytes = Buffer.concat([before, added, behind.subarray(added.length)])
          else if (kind === 'insert') bytes = Buffer.concat([before, added, behind])
          else bytes = kind === 'remove' ? Buffer.concat([before, behind.subarray(added.length)]) : Buffer.from(before)
        }
        const answer = read(bytes)
        expect(inPieces(bytes, cuts)).toEqual(answer)
        const kind = answer === 'more' ? answer : answer.kind
        seen.set(kind, (seen.get(kind) ?? 0) + 1)
      }),
      { numRuns: 10_000 },
    )
    expect([...seen.keys()].sort()).toEqual(['malformed', 'more', 'not-tls', 'tls'])
  })

  test('garbage never throws', () => {
    const start = fc.constantFrom([], [22, 3, 1], [22, 3, 3, 1, 0, 1, 0, 0, 252], [0x80, 10, 1])
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 400 }), lengths, (prefix, rest, cuts) => {
        const bytes = Uint8Array.from([...prefix, ...rest])
        expect(inPieces(bytes, cuts)).toEqual(read(bytes))
      }),
      { numRuns: 5_000 },
    )
  })

  test('there is an answer within 16 KiB and one byte, whatever comes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 0x3ff0 }), (size, length) => {
        const content = [1, 0, ...u16(length), ...Array<number>(20_000).fill(0)]
        expect(read(records(content, size).subarray(0, 16_385))).not.toBe('more')
      }),
      { numRuns: 200 },
    )
  })
})
