import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { runCommand } from '../../../host/index.ts'
import { HOST_LOOPBACK_ADDRESS, HOST_LOOPBACK_NAME } from '../../../network/index.ts'
import type { Language } from '../../../sandbox/index.ts'
import { Owner } from '../owner.ts'
import type { SeriesKey } from '../recorder.ts'
import { type Bench, NAMES, type Scenario } from '../scenario.ts'
import { type Contestant, takeTurns } from '../turns.ts'
import { ensureTemplate } from './restore.ts'

const MB = 1_000_000
const TRANSFER_MB = { full: 100, quick: 20 } as const
const CONNECTIONS = { full: 200, quick: 50 } as const

/** The server writes blocks of this size. */
const BLOCK = Buffer.alloc(262_144, 'exec-sandbox ')

/** Milliseconds for one curl: 100 MB at 1 MB/s. */
const TIMEOUT_MS = 120_000

/** The floor: the same program on the host, to the same server. */
const FLOOR_NAME = 'host loopback, curl'

/** What the way through guest, channel and gateway costs: curl to an HTTP server of this process. */
export const network: Scenario = {
  name: 'network',
  title: 'Connections to a server on this host',
  rounds: { full: 10, quick: 3 },
  languages: 'first',
  run: async (bench) => {
    for (const language of bench.languages) await measure(bench, language)
  },
}

/** Runs a script of the shell, in the guest or on the host; its standard output. */
type Shell = (script: string) => Promise<string>

/** Something to measure with curl: the script for a server, and the value its report stands for. */
interface Task {
  readonly measure: string
  readonly unit: 'MB/s' | '1/s'
  readonly script: (url: string) => string
  /** @param seconds the time that curl took for each transfer, its connection included */
  readonly value: (seconds: readonly number[]) => number
}

async function measure(bench: Bench, language: Language): Promise<void> {
  await using owner = new Owner()
  const server = await startServer()
  owner.own({ [Symbol.asyncDispose]: async () => await stopServer(server) })
  const port = portOf(server)
  const scheduler = owner.own(bench.scheduler())
  await ensureTemplate(scheduler, language, bench.signal)
  const allow = [`${HOST_LOOPBACK_NAME}:${port}`]
  const sandbox = owner.own(await scheduler.create({ language, network: { allow }, signal: bench.signal }))
  const inGuest: Shell = async (script) => {
    const { stdout, stderr, exitCode } = await sandbox.commands.run(script, {
      timeoutMs: TIMEOUT_MS,
      signal: bench.signal,
    })
    if (exitCode !== 0) throw new Error(`curl in the guest ended with ${exitCode}: ${stderr}`)
    return stdout
  }
  const onHost: Shell = async (script) => {
    const { stdout, stderr, code, startError } = await runCommand('sh', ['-c', script], { timeoutMs: TIMEOUT_MS })
    if (code !== 0) throw new Error(startError ?? `curl on the host ended with ${code}: ${stderr}`)
    return stdout
  }
  for (const task of tasksOf(bench.quick ? 'quick' : 'full')) {
    const contestant = (role: 'product' | 'floor', shell: Shell, host: string): Contestant => ({
      key: keyOf(task, language, role),
      measure: async () => ({ value: task.value(secondsOf(await shell(task.script(`http://${host}:${port}`)))) }),
    })
    const contestants = [contestant('product', inGuest, HOST_LOOPBACK_NAME), contestant('floor', onHost, '127.0.0.1')]
    await takeTurns(contestants, bench)
  }
}

function tasksOf(extent: 'full' | 'quick'): readonly Task[] {
  const [size, connections] = [TRANSFER_MB[extent], CONNECTIONS[extent]]
  // `--noproxy`: the host's curl would go through a proxy for what stands on this host.
  const curl = "curl -sSf --noproxy '*' -o /dev/null -w '%{time_total}\\n'"
  const rate = (seconds: readonly number[]): number => size / sumOf(seconds)
  return [
    { measure: `${size} MB down`, unit: 'MB/s', script: (url) => `${curl} ${url}/${size * MB}`, value: rate },
    {
      measure: `${size} MB up`,
      unit: 'MB/s',
      script: (url) => `head -c ${size * MB} /dev/zero | ${curl} -H Expect: -T - ${url}/up`,
      value: rate,
    },
    {
      measure: `${connections} connections, one after the other`,
      unit: '1/s',
      script: (url) => `${curl} -H 'Connection: close' '${url}/[1-${connections}]'`,
      value: (seconds) => connections / sumOf(seconds),
    },
  ]
}

function keyOf({ measure: what, unit }: Task, language: Language, role: 'product' | 'floor'): SeriesKey {
  const name = role === 'product' ? NAMES.product : FLOOR_NAME
  return { scenario: 'network', measure: what, language, role, name, unit, better: 'higher' }
}

function secondsOf(report: string): readonly number[] {
  const seconds = report.trim().split('\n').map(Number)
  if (!seconds.every((value) => value > 0)) throw new Error(`expected seconds from curl, got ${JSON.stringify(report)}`)
  return seconds
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}

/** Answers GET with as many bytes as its path says, and PUT when all of it has come. */
async function startServer(): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method === 'PUT') request.resume().once('end', () => response.end())
    else send(request, response)
  })
  server.listen(0, HOST_LOOPBACK_ADDRESS)
  await once(server, 'listening')
  return server
}

function send(request: IncomingMessage, response: ServerResponse): void {
  let left = Number(request.url?.slice(1))
  response.setHeader('content-length', left)
  const more = (): void => {
    while (left > 0) {
      const block = BLOCK.subarray(0, Math.min(left, BLOCK.byteLength))
      left -= block.byteLength
      if (!response.write(block)) return void response.once('drain', more)
    }
    response.end()
  }
  more()
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected a server that listens on a port')
  return address.port
}

async function stopServer(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => {
    server.close(resolve)
  })
}
