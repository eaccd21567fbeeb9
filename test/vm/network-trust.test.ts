import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Sandbox, Scheduler } from '../../src/index.ts'
import { Authority } from '../network/certificates.ts'
import { connectProxy, httpServer, httpsServer, type TestServer } from '../network/servers.ts'
import { NetworkWorld } from './network-world.ts'

const world = new NetworkWorld()
const own = new Authority()
const scheduler = new Scheduler({}, world.host)
const COMMIT = '1234567890123456789012345678901234567890'
let trusted: TestServer
let stranger: TestServer
/** A wheel that pip and uv can have, once a test has made one. */
let wheel: Uint8Array = new Uint8Array()

beforeAll(async () => {
  world.authorities = own.certificate.cert
  const names = ['good.example', '*.good.example']
  trusted = await httpsServer(own.issue({ commonName: 'x', names }), (request, response) => {
    const path = request.url ?? ''
    if (path.startsWith('/repo.git/info/refs')) response.end(`${COMMIT}\trefs/heads/main\n`)
    else if (path.startsWith('/repo.git/HEAD')) response.end('ref: refs/heads/main\n')
    else if (path.startsWith('/simple/')) {
      response.setHeader('content-type', 'text/html')
      response.end('<a href="/files/demo-1.0-py3-none-any.whl">demo-1.0-py3-none-any.whl</a>')
    } else if (path.startsWith('/files/')) response.end(wheel)
    else response.end('hello')
  })
  const other = new Authority().issue({ commonName: 'x', names: ['stranger.example'] })
  stranger = await httpsServer(other, (_, response) => response.end('hello'))
  world.serve('good.example', '93.184.216.10', { 443: trusted.port })
  world.serve('stranger.example', '93.184.216.11', { 443: stranger.port })
})
afterAll(async () => {
  await scheduler.close()
  for (const server of [trusted, stranger]) await server[Symbol.asyncDispose]()
})

async function bash(sandbox: Sandbox, command: string): Promise<string> {
  const { stdout, stderr } = await sandbox.commands.run(command, { timeoutMs: 100_000 })
  return stdout + stderr
}

async function exitCode(sandbox: Sandbox, command: string): Promise<number> {
  return (await sandbox.commands.run(command, { timeoutMs: 100_000 })).exitCode
}

describe('E08: an authority of this host', () => {
  it('E08: is trusted by Python that was warm before it was known, and no other is', async () => {
    await using sandbox = await scheduler.create({ network: true })
    const { stdout } = await sandbox.runCode(`
import urllib.request
for name in ['good', 'stranger']:
    try: print(urllib.request.urlopen(f'https://{name}.example/').read().decode())
    except OSError as e: print('refused', 'CERTIFICATE_VERIFY_FAILED' in str(e))
`)
    expect(stdout).toBe('hello\nrefused True\n')
  })

  it('E08: is trusted by JavaScript that was warm before it was known, and no other is', async () => {
    await using sandbox = await scheduler.create({ language: 'javascript', network: true })
    const { stdout } = await sandbox.runCode(`
      for (const name of ['good', 'stranger']) {
        console.log(await fetch(\`https://\${name}.example/\`).then((r) => r.text(), (error) => 'refused ' + error.code))
      }
    `)
    expect(stdout).toMatch(/^hello\nrefused \w*(?:CERT|SIGN|VERIFY|ISSUER)\w*\n$/)
  })

  it('E08: is trusted by curl, git, openssl and programs started anew', async () => {
    await using sandbox = await scheduler.create({ language: 'bash', network: true })
    expect(await bash(sandbox, 'curl -sS https://good.example/')).toBe('hello')
    expect(await exitCode(sandbox, 'curl -sS https://stranger.example/')).toBe(60)
    expect(await bash(sandbox, 'git ls-remote https://good.example/repo.git main')).toBe(`${COMMIT}\trefs/heads/main\n`)
    expect(await bash(sandbox, 'git ls-remote https://stranger.example/repo.git main')).toMatch(/certificate/)
    const script = `import urllib.request as u; print(u.urlopen('https://good.example/').read().decode())`
    expect(await bash(sandbox, `python3 -c "${script}"`)).toBe('hello\n')
    expect(await bash(sandbox, `bun -e "console.log(await (await fetch('https://good.example/')).text())"`)).toBe(
      'hello\n',
    )
    expect(
      await bash(sandbox, 'openssl s_client -brief -connect good.example:443 -servername good.example </dev/null'),
    ).toContain('Verification: OK')
  })

  it('E08: is trusted by pip and uv', async () => {
    await using sandbox = await scheduler.create({ network: { allow: ['good.example'] } })
    await sandbox.runCode(`
import zipfile
with zipfile.ZipFile('/tmp/demo.whl', 'w') as z:
    z.writestr('demo.py', 'answer = 42\\n')
    z.writestr('demo-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n')
    z.writestr('demo-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    z.writestr('demo-1.0.dist-info/RECORD', 'demo.py,,\\ndemo-1.0.dist-info/METADATA,,\\ndemo-1.0.dist-info/WHEEL,,\\ndemo-1.0.dist-info/RECORD,,\\n')
`)
    wheel = await sandbox.files.read('/tmp/demo.whl', { format: 'bytes' })
    const index = '--index-url https://good.example/simple'
    expect(await bash(sandbox, `pip install --no-cache-dir --target pip-out ${index} demo`)).toContain(
      'Successfully installed demo-1.0',
    )
    expect(await bash(sandbox, `uv pip install --target uv-out ${index} demo`)).toContain('demo==1.0')
    expect(
      await bash(
        sandbox,
        'for d in pip-out uv-out; do PYTHONPATH=$d python3 -c "import demo; print(demo.answer)"; done',
      ),
    ).toBe('42\n42\n')
  })
})

describe('E09: a proxy of this host', () => {
  it('E09: carries what programs connect to, by name and with its credentials, after the policy', async () => {
    await using web = await httpServer((request, response) => response.end(`${request.headers.host} through the proxy`))
    const authorization = `Basic ${Buffer.from('me:secret').toString('base64')}`
    await using proxy = await connectProxy({
      authorization,
      route: (target) =>
        target === 'denied.example:80'
          ? 403
          : { host: '127.0.0.1', port: target.endsWith(':443') ? trusted.port : web.port },
    })
    world.proxy = new URL(`http://me:secret@127.0.0.1:${proxy.port}`)
    try {
      await using sandbox = await scheduler.create({
        language: 'bash',
        network: { allow: ['good.example', 'only-the-proxy-knows.example', 'denied.example'] },
      })
      const dialled = world.dialled.length
      expect(await bash(sandbox, 'curl -sS http://only-the-proxy-knows.example/')).toBe(
        'only-the-proxy-knows.example through the proxy',
      )
      expect(await bash(sandbox, 'curl -sS https://good.example/')).toBe('hello')
      expect(await exitCode(sandbox, 'curl -sS http://denied.example/')).toBe(7)
      expect(await exitCode(sandbox, 'curl -sS http://stranger.example/')).toBe(6)
      expect(proxy.asked).toEqual(
        ['only-the-proxy-knows.example:80', 'good.example:443', 'denied.example:80'].map(
          (target) => `${target} ${authorization}`,
        ),
      )
      expect(world.dialled.length).toBe(dialled)
    } finally {
      world.proxy = undefined
    }
  })
})
