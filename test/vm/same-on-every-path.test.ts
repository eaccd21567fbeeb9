import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Sandbox, type SandboxOptions, Scheduler } from '../../src/index.ts'
import { tcpServer, type TestServer } from '../network/servers.ts'
import { NetworkWorld } from './network-world.ts'

// A VM that was booted, one that was restored and one out of a pool obey the same options.
const world = new NetworkWorld()
const scheduler = new Scheduler({ warmPool: { bash: 1 } }, world.host)
let echo: TestServer
beforeAll(async () => {
  echo = await tcpServer((socket) => void socket.pipe(socket))
  world.serve('allowed.example', '93.184.216.10', { 80: echo.port })
  world.serve('denied.example', '93.184.216.11', { 80: echo.port })
  await scheduler.prepare({ language: 'bash' })
  await scheduler.ready()
})
afterAll(async () => {
  await scheduler.close()
  await echo[Symbol.asyncDispose]()
})

const OPTIONS = {
  language: 'bash',
  env: { OWN: 'value' },
  network: { allow: ['allowed.example:80'] },
  ports: [8_000],
  files: { 'given/file': 'content' },
} as const satisfies SandboxOptions

const PROGRAM = `
  echo "env $OWN"
  cat given/file; echo
  stat -c '%u:%g %a' given/file
  reach() { exec 3<>/dev/tcp/$1/$2 && echo sent >&3 && head -n1 <&3 && exec 3>&-; }
  reach allowed.example 80
  reach allowed.example 81 2>/dev/null || echo 'no other port'
  reach denied.example 80 2>/dev/null || echo 'no other name'
  reach 93.184.216.11 80 2>/dev/null || echo 'no bare address'
  id -u; touch /etc/x 2>/dev/null || echo 'no other place'
`

const EXPECTED = [
  'env value',
  'content',
  '1000:1000 644',
  'sent',
  'no other port',
  'no other name',
  'no bare address',
  '1000',
  'no other place',
  '',
].join('\n')

async function fetched(sandbox: Sandbox): Promise<string> {
  const server = await sandbox.commands.start(['python3', '-u', '-m', 'http.server', '8000', '--directory', 'given'])
  for await (const { data } of server.output) if (data.includes('Serving')) break
  const [port] = sandbox.ports.list()
  return await (await fetch(`${port?.url}/file`)).text()
}

it.each<[source: string, options: SandboxOptions]>([
  ['cold-boot', { onBootLog: () => undefined }],
  ['disk-snapshot', { memoryMb: 192 }],
  ['memory-snapshot', { memoryMb: 192 }],
  ['pool', {}],
])('D08: names, ports, environment, files and rights are the same out of: %s', async (source, options) => {
  // The first of a size boots, the second is restored, and from then on one is loaded ahead.
  if (source === 'disk-snapshot') expect(await scheduler.prepare({ language: 'bash', memoryMb: 192 })).toBe(true)
  await using sandbox = await scheduler.create({ ...OPTIONS, ...options })
  const sources = source.endsWith('snapshot') ? /-snapshot$/ : new RegExp(`^${source}$`)
  expect(sandbox.info().source).toMatch(sources)
  expect(await sandbox.runCode(PROGRAM)).toMatchObject({ stdout: EXPECTED, exitCode: 0 })
  expect(await fetched(sandbox)).toBe('content')
})
