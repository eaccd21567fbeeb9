import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Sandbox, Scheduler } from '../../src/index.ts'
import { Authority } from '../network/certificates.ts'
import { httpServer, tcpServer, type TestServer, tlsServer } from '../network/servers.ts'
import { NetworkWorld } from './network-world.ts'

const world = new NetworkWorld()
const log: string[] = []
const logger = { debug: note, info: note, warn: note, error: note }
const scheduler = new Scheduler({ logger }, world.host)

function note(message: string, fields: Readonly<Record<string, unknown>> = {}): void {
  log.push(`${message} ${JSON.stringify(fields)}`)
}

let web: TestServer
let echo: TestServer
let tls: TestServer
beforeAll(async () => {
  web = await httpServer((request, response) => response.end(`you asked ${request.headers.host} for ${request.url}`))
  echo = await tcpServer((socket) => void socket.pipe(socket))
  const certificate = new Authority().issue({ commonName: 'x', names: ['api.example'] })
  tls = await tlsServer(certificate, (socket) => socket.once('data', (chunk) => socket.end(chunk)))
  world.serve('api.example', '93.184.216.10', { 80: web.port, 443: tls.port, 7: echo.port, 8000: echo.port })
  world.serve('a.wild.example', '93.184.216.11', { 80: web.port, 8000: echo.port })
  world.serve('wild.example', '93.184.216.12', { 80: web.port, 8000: echo.port })
  world.serve('other.example', '93.184.216.13', { 80: web.port, 443: tls.port })
  world.serve('database.example', '93.184.216.200', { 5432: echo.port, 5433: echo.port })
  world.names.set('rebinding.example', ['127.0.0.1', '169.254.169.254', '10.0.0.1', '::1'])
})
afterAll(async () => {
  await scheduler.close()
  for (const server of [web, echo, tls]) await server[Symbol.asyncDispose]()
})

/** What Python programs of these tests have: `attempt(host, port)` says how a connection ended. */
const PRELUDE = `
import json, socket, ssl, errno
def attempt(host, port, talk=None):
    try:
        with socket.create_connection((host, port), timeout=60) as s:
            return talk(s) if talk else 'connected'
    except socket.gaierror as e:
        return 'no such name' if e.errno == socket.EAI_NONAME else f'gaierror {e.errno}'
    except TimeoutError:
        return 'timed out'
    except OSError as e:
        return errno.errorcode.get(e.errno, repr(e))
`

async function python<T>(sandbox: Sandbox, code: string): Promise<T> {
  const result = await sandbox.runCode(`${PRELUDE}\n${code}`)
  expect(result).toMatchObject({ stderr: '', exitCode: 0 })
  return JSON.parse(result.stdout) as T
}

describe('E02: an allow list', () => {
  const allow = ['api.example', '*.wild.example:8000', '93.184.216.128/25:5432']

  it('E02: lets through what its names, wildcards, blocks and ports say, and nothing else', async () => {
    await using sandbox = await scheduler.create({ network: { allow } })
    const seen = await python(
      sandbox,
      `print(json.dumps([attempt(*where) for where in [
        ('93.184.216.10', 80), ('api.example', 80), ('93.184.216.10', 80), ('api.example', 8000), ('other.example', 80),
        ('93.184.216.13', 80), ('wild.example', 8000), ('a.wild.example', 8000), ('a.wild.example', 80),
        ('93.184.216.200', 5432), ('93.184.216.200', 5433), ('database.example', 5432), ('8.8.8.8', 53)]]))`,
    )
    expect(seen).toEqual([
      'ECONNREFUSED', // by address, before its name was asked for
      'connected',
      'connected', // by address, which is now known to be that of an allowed name
      'connected',
      'no such name',
      'ECONNREFUSED',
      'no such name', // *.wild.example is not wild.example
      'connected',
      'ECONNREFUSED', // another port
      'connected',
      'ECONNREFUSED',
      'no such name', // rules of addresses resolve no names
      'ECONNREFUSED', // another resolver, over TCP
    ])
    expect(world.lookedUp).not.toContain('other.example')
  })

  it('E02: on TLS ports lets through the server name that was asked for, whole or in pieces, and no other', async () => {
    await using sandbox = await scheduler.create({ network: { allow: ['api.example'] } })
    const seen = await python<string[]>(
      sandbox,
      `
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
def tls(name, wrap=context.wrap_socket):
    def talk(s):
        with wrap(s, server_hostname=name) as t:
            t.sendall(b'ping')
            return t.recv(100).decode()
    return talk
def hello(name):
    outgoing = ssl.MemoryBIO()
    o = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    try: o.do_handshake()
    except ssl.SSLWantReadError: pass
    return outgoing.read()
def raw(*pieces):
    def talk(s):
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces: s.sendall(piece)
        return 'answered' if s.recv(100) else 'ended'
    return talk
whole = hello('api.example')
print(json.dumps([attempt('api.example', 443, talk) for talk in [
    tls('api.example'), tls('other.example'), tls(None),
    raw(*[whole[i:i+1] for i in range(len(whole))]),
    raw(b'GET / HTTP/1.1\\r\\nHost: api.example\\r\\n\\r\\n'),
    raw(b'\\x16\\x03\\x01\\x40\\x00\\x01\\x00\\x80\\x00' + bytes(20000)),
    raw(hello('a.example')[:40], b'\\x00' * 40),
]]))`,
    )
    expect(seen.slice(0, 5)).toEqual(['ping', 'ECONNRESET', 'ECONNRESET', 'answered', 'ECONNRESET'])
    expect(seen.slice(5).every((outcome) => outcome === 'ECONNRESET' || outcome === 'EPIPE')).toBe(true)
    const { refused } = sandbox.metrics().network
    expect(refused.map(({ kind, rule }) => `${kind}: ${rule}`).slice(0, 3)).toEqual([
      'tls: not allowed by any rule',
      'tls: TLS without a server name',
      'tls: not TLS on a TLS port',
    ])
  })
})

describe('E03: addresses that are not public', () => {
  it('E03: are unreachable with everything public allowed, by address and by names that lead there', async () => {
    await using sandbox = await scheduler.create({ network: true })
    const own = Object.values(networkInterfaces()).flatMap((all = []) => all.filter(({ family }) => family === 'IPv4'))
    const addresses = [
      ...own.map(({ address }) => address),
      ...['169.254.169.254', '10.0.0.1', '172.16.0.1', '192.168.0.1', '100.64.0.1', '100.100.100.200', '0.0.0.0'],
    ].filter((address) => !address.startsWith('127.') && address !== '0.0.0.0')
    const seen = await python<string[]>(
      sandbox,
      `print(json.dumps([attempt(a, ${web.port}) for a in ${JSON.stringify(addresses)}] + [
         attempt('rebinding.example', 80), attempt('host.exec-sandbox.internal', ${web.port}), attempt('api.example', 80)]))`,
    )
    expect(seen).toEqual([...addresses.map(() => 'ECONNREFUSED'), 'no such name', 'no such name', 'connected'])
    expect(world.dialled.filter((to) => !to.startsWith('93.'))).toEqual([])
  })

  it('E03: are reached by a rule of addresses, and the host by its own name alone', async () => {
    world.routes.set(`127.0.0.1:${web.port}`, web.port)
    world.routes.set('10.0.0.1:5432', echo.port)
    await using sandbox = await scheduler.create({
      network: { allow: [`host.exec-sandbox.internal:${web.port}`, '10.0.0.0/8:5432'] },
    })
    const seen = await python(
      sandbox,
      `
import urllib.request
page = urllib.request.urlopen('http://host.exec-sandbox.internal:${web.port}/x').read().decode()
print(json.dumps([page, attempt('10.0.0.1', 5432), attempt('10.0.0.1', 5433), attempt('host.exec-sandbox.internal', ${echo.port})]))`,
    )
    expect(seen).toEqual([
      `you asked host.exec-sandbox.internal:${web.port} for /x`,
      'connected',
      'ECONNREFUSED',
      'ECONNREFUSED',
    ])
  })
})

describe('E04: programs', () => {
  it('E04: of JavaScript connect with what they have', async () => {
    await using sandbox = await scheduler.create({ language: 'javascript', network: { allow: ['api.example'] } })
    const { stdout, stderr } = await sandbox.runCode(`
      import net from 'node:net'
      console.log(await (await fetch('http://api.example/fetch')).text())
      const got = await new Promise((resolve, reject) => {
        const socket = net.connect(7, 'api.example', () => socket.end('ping'))
        let text = ''
        socket.on('data', (chunk) => (text += chunk)).on('end', () => resolve(text)).on('error', reject)
      })
      console.log(got)
      console.log(await fetch('http://other.example/').then(() => 'reached', (error) => 'refused'))
      const opened = await Bun.connect({ hostname: '93.184.216.13', port: 80, socket: { data() {} } }).then(() => 'reached', () => 'refused')
      console.log(opened)
    `)
    expect(stderr).toBe('')
    expect(stdout).toBe('you asked api.example for /fetch\nping\nrefused\nrefused\n')
  })

  it('E04: of the shell connect with what they have', async () => {
    await using sandbox = await scheduler.create({ language: 'bash', network: { allow: ['api.example'] } })
    const { stdout } = await sandbox.runCode(`
      curl -sS http://api.example/curl; echo
      exec 3<>/dev/tcp/api.example/7; echo ping >&3; read -r line <&3; echo "$line"; exec 3>&-
      curl -sS http://other.example/ 2>/dev/null; echo $?
      curl -sS http://93.184.216.13/ 2>/dev/null; echo $?
      getent hosts api.example | tr -s ' '
    `)
    expect(stdout).toBe('you asked api.example for /curl\nping\n6\n7\n93.184.216.10 api.example\n')
  })

  it('E04: that use UDP are refused at once, whatever listens there', async () => {
    const heard: Buffer[] = []
    const udp = createSocket('udp4').on('message', (message: Buffer) => heard.push(message))
    await new Promise<void>((resolve) => {
      udp.bind(0, '0.0.0.0', resolve)
    })
    try {
      await using sandbox = await scheduler.create({ network: true })
      const seen = await python(
        sandbox,
        `
def send(address, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(60)
    try:
        s.connect((address, port))
        s.send(b'x' * 20)
        s.recv(100)
        return 'answered'
    except TimeoutError: return 'timed out'
    except OSError as e: return errno.errorcode[e.errno]
print(json.dumps([send(*to) for to in [('8.8.8.8', 53), ('93.184.216.10', 443), ('93.184.216.10', ${udp.address().port}), ('100.64.0.1', 54)]]))`,
      )
      const allowed = ['ECONNREFUSED', 'EACCES', 'EHOSTUNREACH', 'EPERM']
      expect((seen as string[]).filter((outcome) => !allowed.includes(outcome))).toEqual([])
      expect(heard).toEqual([])
    } finally {
      udp.close()
    }
  })

  it('E04: keep half-close, and a connection that the server resets is reset', async () => {
    await using server = await tcpServer((socket) => {
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk.toString()
        if (text === 'reset') socket.resetAndDestroy()
      })
      socket.on('end', () => socket.end(`got ${text}`))
    })
    world.serve('half.example', '93.184.216.30', { 1234: server.port })
    await using sandbox = await scheduler.create({ network: true })
    const seen = await python(
      sandbox,
      `
def half(s):
    s.sendall(b'all of it')
    s.shutdown(socket.SHUT_WR)
    return s.recv(100).decode()
def reset(s):
    s.sendall(b'reset')
    return s.recv(100).decode()
print(json.dumps([attempt('half.example', 1234, half), attempt('half.example', 1234, reset), attempt('half.example', 9)]))`,
    )
    expect(seen).toEqual(['got all of it', 'ECONNRESET', 'ECONNREFUSED'])
  })
})

describe('E05: what is refused', () => {
  it('E05: is said at once, and listed with its rule in the metrics and in the debug log', async () => {
    await using sandbox = await scheduler.create({
      network: { allow: ['*.example'], deny: ['other.example', '93.184.216.11'] },
    })
    log.length = 0
    const seen = await python(
      sandbox,
      `print(json.dumps([attempt(*where) for where in [('other.example', 80), ('a.wild.example', 80), ('93.184.216.99', 80)]]))`,
    )
    expect(seen).toEqual(['no such name', 'no such name', 'ECONNREFUSED'])
    const { network } = sandbox.metrics()
    const listed = network.refused.map((refusal) => ({ ...refusal, at: undefined, reason: undefined }))
    expect(listed).toContainEqual({ kind: 'dns', name: 'other.example', rule: 'other.example' })
    expect(listed).toContainEqual({ kind: 'dns', name: 'a.wild.example', rule: '93.184.216.11' })
    expect(listed).toContainEqual({
      kind: 'connect',
      address: '93.184.216.99',
      port: 80,
      rule: 'not allowed by any rule',
    })
    expect(network.refused.every(({ at, reason }) => at instanceof Date && reason.length > 0)).toBe(true)
    expect(network.connections).toMatchObject({ open: 0, opened: 0, refused: 1, failed: 0 })
    expect(log.filter((line) => line.startsWith('network: refused')).length).toBeGreaterThanOrEqual(3)
    expect(log.some((line) => line.includes('"rule":"other.example"'))).toBe(true)
  })
})

describe('E06: setNetwork', () => {
  it('E06: holds at once, for open connections too, and off is off', async () => {
    await using sandbox = await scheduler.create({ network: { allow: ['api.example', 'a.wild.example'] } })
    const opened = await python(
      sandbox,
      `
kept = socket.create_connection(('api.example', 7), timeout=60)
lost = socket.create_connection(('a.wild.example', 8000), timeout=60)
print(json.dumps([kept.send(b'x'), lost.send(b'x'), kept.recv(1).decode(), lost.recv(1).decode()]))`,
    )
    expect(opened).toEqual([1, 1, 'x', 'x'])
    await sandbox.setNetwork({ allow: ['api.example'] })
    const after = await python(
      sandbox,
      `
def outcome(s):
    try:
        s.sendall(b'y')
        return s.recv(1).decode() or 'ended'
    except OSError as e: return errno.errorcode[e.errno]
print(json.dumps([outcome(kept), outcome(lost), attempt('a.wild.example', 8000)]))`,
    )
    expect(after).toEqual(['y', 'ECONNRESET', 'no such name'])
    await sandbox.setNetwork(false)
    const off = await python<string[]>(
      sandbox,
      `
import os
print(json.dumps([outcome(kept) != 'y', attempt('api.example', 80) != 'connected', attempt('93.184.216.10', 80), sorted(os.listdir('/sys/class/net')),
  [line for line in open('/etc/resolv.conf') if line.startswith('nameserver')], len(open('/proc/net/route').readlines())]))`,
    )
    expect(off).toEqual([true, true, 'ENETUNREACH', ['lo'], [], 1])
    await sandbox.setNetwork(true)
    expect(
      await python(sandbox, `print(json.dumps([attempt('other.example', 80), attempt('api.example', 80)]))`),
    ).toEqual(['connected', 'connected'])
  })

  it('E06: gives a network to a sandbox that began without one', async () => {
    await using sandbox = await scheduler.create({ language: 'bash' })
    expect((await sandbox.runCode('curl -s http://api.example/; echo $?')).stdout).toBe('6\n')
    await sandbox.setNetwork({ allow: ['api.example'] })
    expect((await sandbox.runCode('curl -sS http://api.example/')).stdout).toBe('you asked api.example for /')
  })
})

describe('a connection of a program', () => {
  it('holds no process of the host open', async () => {
    const library = fileURLToPath(new URL('../../dist/index.js', import.meta.url))
    const host = 'host.exec-sandbox.internal'
    const program = `
      import { Sandbox } from ${JSON.stringify(library)}
      const sandbox = await Sandbox.create({ language: 'bash', network: { allow: ['${host}:${echo.port}'] } })
      await sandbox.commands.start(['bash', '-c', 'exec 3<>/dev/tcp/${host}/${echo.port}; sleep 1000'])
      while (sandbox.metrics().network.connections.open === 0) await new Promise((resolve) => setTimeout(resolve, 50))
      console.log('connected')`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
    expect(await once(child, 'close')).toEqual([0, null])
    expect(said).toBe('connected\n')
  })
})
