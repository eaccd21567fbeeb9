import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dial, occupiedPort, readAll } from './port-clients.ts'
import { type Outcome, sbx } from './sbx.ts'

const schema = JSON.parse(readFileSync(new URL('../../docs/run-result.schema.json', import.meta.url), 'utf8')) as object
const validate = new Ajv2020({ strict: true, allErrors: true }).compile(schema)

/** Answers one client and ends when it has got that: the end of the program resets what is still under way. */
const SERVER = `
import socket
server = socket.create_server(('127.0.0.1', 8000))
print('listening', flush=True)
connection, _ = server.accept()
connection.sendall(b'hello from the guest')
connection.shutdown(socket.SHUT_WR)
connection.recv(1)
`

/**
 * Runs `sbx` with a program that says when it listens; what a client then got is beside its outcome.
 * @param port of the host, if stderr has told it yet
 */
async function served(
  args: readonly string[],
  port: (stderr: string) => number | undefined,
): Promise<Outcome & { got: string }> {
  let got: Promise<string> | undefined
  let stderr = ''
  let listens = false
  // Two pipes: which of them is read first, nobody knows.
  const dialWhenTold = (): void => {
    const told = port(stderr)
    if (!listens || told === undefined) return
    got ??= dial(told).then(async (socket) => {
      const all = String(await readAll(socket))
      socket.end()
      return all
    })
    // Told below, when the program has ended.
    got.catch(() => undefined)
  }
  const outcome = await sbx(args, {
    onStart: (child) =>
      child.stderr?.on('data', (text: string) => {
        stderr += text
        dialWhenTold()
      }),
    onStdout: (text) => {
      listens ||= text.includes('listening')
      dialWhenTold()
    },
  })
  return { ...outcome, got: (await got) ?? '' }
}

const numberIn = (found: RegExpExecArray | null): number | undefined => (found === null ? undefined : Number(found[1]))

describe('sbx run --expose', () => {
  let file: string
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-cli-ports-'))
    file = join(directory, 'server.py')
    await writeFile(file, SERVER)
  })
  afterAll(async () => await rm(directory, { recursive: true }))

  it('says on stderr where the port is reached, before the program does anything', async () => {
    const told = /^sbx: port 8000 is http:\/\/127\.0\.0\.1:(\d+)\n$/
    const { code, stdout, stderr, got } = await served(['run', '--expose', '8000', file], (text) =>
      numberIn(told.exec(text)),
    )
    expect({ code, stdout, got }).toEqual({ code: 0, stdout: 'listening\n', got: 'hello from the guest' })
    expect(stderr).toMatch(told)
  })

  it('takes the port of the host, which --quiet says nothing of', async () => {
    const { port } = await freed()
    const { stderr, got } = await served(['-q', '--expose', `8000:${port}`, file], () => port)
    expect({ stderr, got }).toEqual({ stderr: '', got: 'hello from the guest' })
  })

  it('has them in the result of --json', async () => {
    const { stdout } = await sbx(['run', '--json', '--expose', '8000', '--expose', '90', '-c', '1'])
    const line = JSON.parse(stdout) as object
    expect(line).toMatchObject({ ports: [{ guest: 8000 }, { guest: 90 }] })
    expect(validate(line), JSON.stringify(validate.errors)).toBe(true)
  })

  it('gives each of several sources a port of its own', async () => {
    const { code, stderr } = await sbx(['run', '--expose', '8000', '-c', '1', '-c', '2'])
    expect(code).toBe(0)
    const told = [...stderr.matchAll(/^-c: sbx: port 8000 is http:\/\/127\.0\.0\.1:(\d+)$/gm)].map(([, host]) => host)
    expect(new Set(told).size).toBe(2)
  })

  it('exits 2 for a port that is none, one in use, and one of the host for several sources', async () => {
    await using taken = await occupiedPort()
    const cases: readonly (readonly [readonly string[], string])[] = [
      [['--expose', 'http', '-c', '1'], 'expected GUEST or GUEST:HOST'],
      [['--expose', '0', '-c', '1'], 'ports.0.guest: expected a port from 1 to 65535, got 0'],
      [['--expose', `8000:${taken.port}`, '-c', '1'], `${taken.port}, which is in use`],
      [['--expose', '8000:8001', '-c', '1', '-c', '2'], 'several sources'],
    ]
    for (const [args, message] of cases) {
      const outcome = await sbx(['run', ...args])
      expect(outcome).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) })
    }
  })

  it('is told by sbx repl, too', async () => {
    const { code, stdout, stderr } = await sbx(['repl', '--expose', '8000'], { input: '6 * 7\n' })
    expect({ code, stdout }).toEqual({ code: 0, stdout: '42\n' })
    expect(stderr).toMatch(/^sbx: port 8000 is http:\/\/127\.0\.0\.1:\d+\n/)
  })
})

/** A port that was free a moment ago. */
async function freed(): Promise<{ readonly port: number }> {
  await using taken = await occupiedPort()
  return { port: taken.port }
}
